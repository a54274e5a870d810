/**
 * The files under docs/production as tests read them.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

export const FOLDER = fileURLToPath(new URL('../../docs/production/', import.meta.url))

export type Environment = Readonly<Record<string, string>>

export const productionFile = (name: string): string => readFileSync(join(FOLDER, name), 'utf8')

/** All documents of a file. Throws for what is no YAML, and for a key that is given twice. */
const documentsOf = (name: string): readonly unknown[] =>
  // As kubectl and docker read it: 0440 is octal.
  parseAllDocuments(productionFile(name), { version: '1.1' }).map((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw problem
    return document.toJS() as unknown
  })

export const yamlFile = (name: string): unknown => documentsOf(name)[0]

/** A manifest, whose fields tests name by hand. */
// biome-ignore lint/suspicious/noExplicitAny: the schema of Kubernetes is not at hand, and a wrong path fails the test
export type Kubernetes = any

export const kubernetes = (): readonly Kubernetes[] => documentsOf('kubernetes.yaml')

export const pieceOf = (manifests: readonly Kubernetes[], kind: string): Kubernetes => {
  const found = manifests.find((one) => one.kind === kind)
  if (found === undefined) throw new Error(`there is no ${kind}`)
  return found
}

/** What the kubelet fills in is the name of the first pod. */
export const kubernetesEnvironment = (): Environment => {
  const [container] = pieceOf(kubernetes(), 'StatefulSet').spec.template.spec.containers
  return Object.fromEntries(
    container.env.map(({ name, value, valueFrom }: { name: string; value?: string; valueFrom?: object }) => [
      name,
      value ?? (valueFrom === undefined ? undefined : 'app-0'),
    ]),
  )
}

/** Of the only service; what the shell is to fill in stays away. */
export const composeEnvironment = (file: string): Environment => {
  const { services } = yamlFile(file) as { services: Record<string, { environment: Environment }> }
  const entries = Object.values(services).flatMap(({ environment }) => Object.entries(environment))
  return Object.fromEntries(entries.filter(([, value]) => !value.startsWith('${')))
}

/** Settings of the unit, by their names. */
export const unitLines = (): ReadonlyMap<string, readonly string[]> => {
  const lines = new Map<string, string[]>()
  for (const [, key = '', value = ''] of productionFile('skein-app.service').matchAll(/^(\w+)=(.*)$/gm)) {
    lines.set(key, [...(lines.get(key) ?? []), value])
  }
  return lines
}

export const unitEnvironment = (): Environment =>
  Object.fromEntries(
    (unitLines().get('Environment') ?? []).map((text) => [
      text.slice(0, text.indexOf('=')),
      text.slice(text.indexOf('=') + 1),
    ]),
  )

/** The words of CMD, or of the CMD of HEALTHCHECK. */
export const dockerfileCommand = (instruction: 'CMD' | 'HEALTHCHECK'): readonly string[] => {
  const pattern = instruction === 'CMD' ? /^CMD (\[.*\])$/m : /^HEALTHCHECK [^[]*(\[.*\])$/m
  return JSON.parse(pattern.exec(productionFile('Dockerfile'))?.[1] ?? 'null') as readonly string[]
}
