/**
 * Completion scripts for shells, made from the tree of commands. They ask nobody: a script knows what the version knew by
 * which it was made.
 *
 * All three work alike. The words before the cursor are followed down the tree to the command; the word right before it may
 * be an option that wants a value; otherwise commands below, options, and words for arguments are offered.
 */
import { type CommandNode, flattened, type OptionNode, type Value } from './command-tree.ts'

/** For a shell: everything but the quote itself is literal between single quotes (POSIX, Shell Command Language 2.2.2). */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

const keyOf = (path: readonly string[]): string => path.join(' ')

/** Shell patterns for a `case`. */
const anyOf = (keys: readonly string[]): string => keys.map(quoted).join('|')

const optionsOf = (node: CommandNode, kind: Value['kind']): OptionNode[] =>
  node.options.filter(({ value }) => value?.kind === kind)

/** `PATH OPTION` for all options of a kind. */
const keysOf = (nodes: readonly CommandNode[], kind: Value['kind']): string[] =>
  nodes.flatMap(({ path, ...node }) =>
    optionsOf({ path, ...node }, kind).flatMap(({ words }) => words.map((word) => `${keyOf(path)} ${word}`)),
  )

interface Choice {
  readonly keys: readonly string[]
  readonly words: readonly string[]
}

const choicesOf = (nodes: readonly CommandNode[]): Choice[] =>
  nodes.flatMap((node) =>
    optionsOf(node, 'choices').map(({ words, value }) => ({
      keys: words.map((word) => `${keyOf(node.path)} ${word}`),
      words: value?.kind === 'choices' ? value.words : [],
    })),
  )

/** What may stand at a command, each with what it is. */
const offersOf = ({ commands, options, arguments: args }: CommandNode): (readonly [word: string, what: string])[] => [
  ...commands.map(({ path, description }) => [path.at(-1) ?? '', description] as const),
  ...args.flatMap(({ value, description }) =>
    value.kind === 'choices' ? value.words.map((word) => [word, description] as const) : [],
  ),
  ...options.flatMap(({ words, description }) => words.map((word) => [word, description] as const)),
]

/** The branch of a `case` that goes one command deeper. */
const deeper = (nodes: readonly CommandNode[]): string =>
  anyOf(nodes.filter(({ path }) => path.length > 1).map(({ path }) => keyOf(path)))

export const bashScript = (tree: CommandNode): string => {
  const nodes = flattened(tree)
  const choices = choicesOf(nodes).map(
    ({ keys, words }) =>
      `    ${anyOf(keys)}) COMPREPLY=($(compgen -W ${quoted(words.join(' '))} -- "$word")); return ;;`,
  )
  const offers = nodes.map(
    (node) =>
      `    ${quoted(keyOf(node.path))}) words=${quoted(
        offersOf(node)
          .map(([word]) => word)
          .join(' '),
      )} ;;`,
  )
  return `# Completion of skein in bash: source <(skein completion bash)
_skein() {
  local word=\${COMP_WORDS[COMP_CWORD]} at=skein words= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${deeper(nodes)}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at \${COMP_WORDS[COMP_CWORD - 1]}" in
${choices.join('\n')}
    ${anyOf(keysOf(nodes, 'file'))}) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
    ${anyOf(keysOf(nodes, 'other'))}) return ;;
  esac
  case "$at" in
${offers.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _skein skein`
}

export const zshScript = (tree: CommandNode): string => {
  const nodes = flattened(tree)
  const choices = choicesOf(nodes).map(
    ({ keys, words }) => `    ${anyOf(keys)}) compadd -- ${words.map(quoted).join(' ')}; return ;;`,
  )
  const described = ([word, what]: readonly [string, string]): string =>
    quoted(`${word.replaceAll(':', '\\:')}:${what.replaceAll('\\', '\\\\')}`)
  const offers = nodes.map(
    (node) => `    ${quoted(keyOf(node.path))}) offers=(${offersOf(node).map(described).join(' ')}) ;;`,
  )
  return `#compdef skein
# Completion of skein in zsh: source <(skein completion zsh), after compinit.
_skein() {
  local at=skein i
  local -a offers
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${deeper(nodes)}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at \${words[CURRENT - 1]}" in
${choices.join('\n')}
    ${anyOf(keysOf(nodes, 'file'))}) _files; return ;;
    ${anyOf(keysOf(nodes, 'other'))}) return ;;
  esac
  case "$at" in
${offers.join('\n')}
  esac
  _describe skein offers || _files
}
if [[ "\${funcstack[1]}" == _skein ]]; then _skein "$@"; else compdef _skein skein; fi`
}

export const fishScript = (tree: CommandNode): string => {
  const nodes = flattened(tree)
  const lines = nodes.flatMap((node) => {
    const at = `complete -c skein -n ${quoted(`__skein_at ${quoted(keyOf(node.path))}`)}`
    const isForFiles = node.arguments.some(({ value }) => value.kind === 'file')
    return [
      ...(isForFiles ? [] : [`${at} -f`]),
      ...node.commands.map(
        ({ path, description }) => `${at} -a ${quoted(path.at(-1) ?? '')} -d ${quoted(description)}`,
      ),
      ...node.arguments.flatMap(({ value, description }) =>
        value.kind === 'choices' ? [`${at} -a ${quoted(value.words.join(' '))} -d ${quoted(description)}`] : [],
      ),
      ...node.options.map((option) => `${at} ${fishOption(option)} -d ${quoted(option.description)}`),
    ]
  })
  const paths = nodes.filter(({ path }) => path.length > 1).map(({ path }) => quoted(keyOf(path)))
  return `# Completion of skein in fish: skein completion fish | source
function __skein_at
    set -l at skein
    for word in (commandline -opc)[2..-1]
        if contains -- "$at $word" ${paths.join(' ')}
            set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
${lines.join('\n')}`
}

const fishOption = ({ words, value }: OptionNode): string => {
  const names = words.map((word) => (word.startsWith('--') ? `-l ${word.slice(2)}` : `-s ${word.slice(1)}`)).join(' ')
  if (value === undefined) return names
  if (value.kind === 'choices') return `${names} -x -a ${quoted(value.words.join(' '))}`
  return `${names} ${value.kind === 'file' ? '-r -F' : '-x'}`
}
