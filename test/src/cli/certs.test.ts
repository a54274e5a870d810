/**
 * `skein certs`: files made by one command are what nodes start with, and a node that trusts an authority lets in nobody else.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { createIdentity, saveIdentity } from '../../../certs/identity.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 240_000

const test = suite('cli certs', { watchdogMs: 1_200_000 })

const temporaryFolder = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-certs-'))
  t.defer(() => rm(folder, { recursive: true }))
  return folder
}

/** Runs `skein certs` to its end, which must be a good one; gives what it printed. */
const certs = async (t: TestContext, ...args: string[]) => {
  const { code, stdout, stderr } = await runCli(t, ['certs', ...args, '--json'])
  assert.equal([code, stderr], [0, ''], args.join(' '))
  return jsonLines(stdout)
}

const codeOf = (stderr: string): unknown => jsonLines(stderr)[0]?.code

test(
  'nodes with certificates of an authority meet; who has the cookie but no such certificate is refused, and told so',
  async (t) => {
    const folder = await temporaryFolder(t)
    const [authority] = await certs(t, 'ca', '--folder', folder)
    const [a, b, ops] = ['a', 'b', 'ops'].map((name) => join(folder, `${name}.pem`)) as [string, string, string]
    const issued = await certs(t, 'issue', a, b, ops, '--folder', folder)
    assert.equal(
      issued.map(({ kind, signedBy }) => [kind, signedBy]),
      Array(3).fill(['node', authority?.id]),
    )
    const trust = ['--ca', join(folder, 'ca.pem')]
    const settings = freshSettings()
    const first = await startCli(t, ['--name', 'a', '--identity', a, ...trust], settings)
    assert.is(first.started.id, issued[0]?.id)
    const seed = ['--seed', first.address]
    const second = await startCli(t, ['--name', 'b', '--identity', b, ...trust, ...seed], settings)
    await first.cli.printed({ type: 'nodeup', id: issued[1]?.id as string, hidden: false })

    const [trusted, unsigned, unsignedTool] = await Promise.all([
      runCli(t, ['nodes', '--json', '--identity', ops, ...trust, ...seed], settings),
      runCli(t, ['nodes', '--json', ...seed], settings),
      runCli(t, ['nodes', '--json', ...trust, ...seed], settings),
    ])
    assert.equal([trusted.code, trusted.stderr], [0, ''])
    assert.is(jsonLines(trusted.stdout).length, 2)
    assert.is(unsigned.code, 1)
    const [failure] = jsonLines(unsigned.stderr)
    const attempts = (failure?.attempts ?? []) as { code: string }[]
    assert.ok(
      attempts.some(({ code }) => code === 'ERR_SKEIN_CERT_UNTRUSTED'),
      unsigned.stderr,
    )
    assert.match(String(failure?.hint), '--identity')
    const refused = await first.cli.printed({ type: 'refused', code: 'ERR_SKEIN_CERT_UNTRUSTED' })
    assert.is(refused.byPeer, false)
    // Who trusts an authority, and is not signed by it, need not even try.
    assert.equal([unsignedTool.code, codeOf(unsignedTool.stderr)], [1, 'ERR_SKEIN_BAD_AUTHORITY'])

    for (const { cli } of [first, second]) {
      cli.signal('SIGTERM')
      assert.is((await cli.ended).code, 0)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a certificate is renewed for the same key, by the authority that signed it and by no other',
  async (t) => {
    const folder = await temporaryFolder(t)
    const [ours, theirs, node] = [join(folder, 'ours'), join(folder, 'theirs'), join(folder, 'node.pem')]
    await Promise.all([certs(t, 'ca', '--folder', ours, '--days', '100'), certs(t, 'ca', '--folder', theirs)])
    const [before] = await certs(t, 'issue', node, '--folder', ours, '--days', '20')
    assert.is(before?.daysLeft, 19)
    const [after] = await certs(t, 'renew', node, '--folder', ours)
    assert.equal([after?.id, after?.signedBy], [before?.id, before?.signedBy])
    // No longer than the authority.
    assert.is(after?.daysLeft, 99)

    const kept = await readFile(node)
    const wrong = await runCli(t, ['certs', 'renew', node, '--folder', theirs, '--json'])
    assert.equal([wrong.code, codeOf(wrong.stderr)], [1, 'ERR_SKEIN_BAD_AUTHORITY'])
    assert.equal(await readFile(node), kept)
    // What no authority has signed the node renews itself. What was done before that file is told.
    const own = join(folder, 'own.pem')
    await saveIdentity(own, await createIdentity({ wallNowMs: Date.now() }))
    const keptOwn = await readFile(own)
    const refused = await runCli(t, ['certs', 'renew', node, own, '--folder', ours, '--json'])
    assert.equal([refused.code, codeOf(refused.stderr)], [1, 'ERR_SKEIN_BAD_IDENTITY'])
    assert.match(String(jsonLines(refused.stderr)[0]?.hint), `skein certs issue ${own}`)
    assert.equal(await readFile(own), keptOwn)
    assert.equal(
      jsonLines(refused.stdout).map(({ file }) => file),
      [node],
    )
    const [moved] = await certs(t, 'issue', node, '--folder', theirs)
    assert.is(moved?.id, before?.id)
    assert.is.not(moved?.signedBy, before?.signedBy)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'keys are readable by their owner alone, and other software understands the certificates',
  async (t) => {
    const folder = await temporaryFolder(t)
    const node = join(folder, 'node.pem')
    await certs(t, 'ca', '--folder', folder)
    await certs(t, 'issue', node, '--folder', folder)
    const modes = await Promise.all(['ca-key.pem', 'node.pem'].map((name) => stat(join(folder, name))))
    assert.equal(
      modes.map(({ mode }) => mode & 0o777),
      [0o600, 0o600],
    )
    const openssl = promisify(execFile)('openssl', ['verify', '-CAfile', join(folder, 'ca.pem'), node])
    const { stdout } = await openssl.catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? t.missing('openssl') : Promise.reject(error),
    )
    assert.match(stdout, ': OK')

    const shown = await runCli(t, ['certs', 'show', node, '--folder', folder])
    assert.is(shown.code, 0)
    assert.match(shown.stdout, / {2}signed by {3}ca-[a-z2-7]{32}\n {2}valid .* to .*, \d+ days left\n$/)
    const [programs] = await certs(t, 'show', node)
    const { file, kind, id, signedBy, notBefore, notAfter, daysLeft, ...others } = programs ?? {}
    assert.equal([file, kind, daysLeft, others], [node, 'node', 364, {}])
    assert.match(`${id} ${signedBy}`, /^[a-z2-7]{32} ca-[a-z2-7]{32}$/)
    assert.ok(Date.parse(String(notAfter)) > Date.parse(String(notBefore)))
    const authority = await runCli(t, ['certs', 'show', '--folder', folder])
    assert.match(authority.stdout, / {2}authority {3}ca-[a-z2-7]{32}\n {2}signed by {3}its own key\n/)

    await chmod(join(folder, 'ca-key.pem'), 0o644)
    const open = await runCli(t, ['certs', 'issue', node, '--folder', folder, '--json'])
    assert.equal([open.code, codeOf(open.stderr)], [1, 'ERR_SKEIN_INSECURE_FILE'])

    // Whoever can change it decides who is let in.
    const trust = join(folder, 'ca.pem')
    await chmod(trust, 0o666)
    const changeable = await runCli(t, ['start', '--identity', node, '--ca', trust, '--json'], freshSettings())
    assert.equal([changeable.code, codeOf(changeable.stderr)], [1, 'ERR_SKEIN_INSECURE_FILE'])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what cannot be done is a coded error that says what to do',
  async (t) => {
    const folder = await temporaryFolder(t)
    await certs(t, 'ca', '--folder', folder)
    const none = join(folder, 'none')
    const cases: readonly (readonly [args: readonly string[], exitCode: number, says: string])[] = [
      [['ca', '--folder', folder], 2, 'There is an authority in'],
      [['issue', join(folder, 'a.pem'), '--folder', none], 1, 'skein certs ca'],
      [['renew', join(none, 'a.pem'), '--folder', folder], 1, 'skein certs issue'],
      [['show', none], 1, 'ERR_SKEIN_BAD_AUTHORITY'],
      [['show', folder], 1, 'ERR_SKEIN_BAD_AUTHORITY'],
      [['issue', '--folder', folder, '--days', '0'], 2, 'It must be 1 to'],
      [['issue', join(folder, 'ca.pem'), '--folder', folder], 1, 'ERR_SKEIN_INSECURE_FILE'],
      [['ca', '--folder', join(folder, 'ca.pem', 'below')], 1, 'cannot be written'],
    ]
    const check = async ([args, exitCode, says]: (typeof cases)[number]): Promise<void> => {
      const { code, stdout, stderr } = await runCli(t, ['certs', ...args])
      assert.equal([code, stdout], [exitCode, ''], args.join(' '))
      assert.match(stderr, says)
    }
    // The key may be kept elsewhere: its certificate stays.
    const certificate = await readFile(join(folder, 'ca.pem'))
    await rename(join(folder, 'ca-key.pem'), join(folder, 'elsewhere'))
    await check([['ca', '--folder', folder], 2, 'There is an authority in'])
    assert.equal(await readFile(join(folder, 'ca.pem')), certificate)
    await rename(join(folder, 'elsewhere'), join(folder, 'ca-key.pem'))
    for (let i = 0; i < cases.length; i += 2) await Promise.all(cases.slice(i, i + 2).map(check))
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
