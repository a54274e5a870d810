/**
 * The files under docs/production: they parse, they agree with each other, with the configuration and with the program, and
 * systemd takes the unit. That the program works as they start it shows test/e2e/production.test.ts.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { OPTIONS, resolveConfig } from '../src/config.ts'
import { loadConfig } from '../src/config-file.ts'
import {
  composeEnvironment,
  dockerfileCommand,
  FOLDER,
  type Kubernetes,
  kubernetes,
  kubernetesEnvironment,
  pieceOf,
  productionFile,
  unitEnvironment,
  unitLines,
  yamlFile,
} from './support/production-files.ts'
import { suite } from './support/suite.ts'

const test = suite('production files')

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PROGRAM = productionFile('app.js')
const DEFAULT_PORT = OPTIONS.port.default
/** Read by certs/cookie.ts, not by the table. */
const COOKIE_VARIABLES = ['SKEIN_COOKIE_FILE', 'SKEIN_ACCEPT_COOKIES_FILE']

const kinds = (kind: string): Kubernetes => pieceOf(kubernetes(), kind)

test('every file is told of on the page, and every file that the page tells of is there', () => {
  const page = readFileSync(join(ROOT, 'docs/production.md'), 'utf8')
  const linked = new Set(Array.from(page.matchAll(/\]\(production\/([^)#]+)\)/g), ([, file]) => file))
  assert.equal([...linked].sort(), readdirSync(FOLDER).sort())
})

test('every variable is one of the configuration', () => {
  const known = Object.values(OPTIONS).flatMap((option) => ('variable' in option ? option.variable.split(', ') : []))
  for (const file of [...readdirSync(FOLDER), '../production.md']) {
    for (const [name] of productionFile(file).matchAll(/\bSKEIN_[A-Z_]+\b/g)) {
      assert.ok([...known, ...COOKIE_VARIABLES].includes(name), `${file}: ${name}`)
    }
  }
})

test('every variable that is not Skein’s own is one that the program reads', () => {
  const read = Array.from(
    /const \{(.*)\} = process\.env/.exec(PROGRAM)?.[1]?.matchAll(/(\w+) =/g) ?? [],
    ([, name]) => name,
  )
  assert.equal(read, ['HEALTH_HOST', 'HEALTH_PORT'])
  for (const environment of [composeEnvironment('compose.yaml'), kubernetesEnvironment(), unitEnvironment()]) {
    for (const name of Object.keys(environment)) {
      assert.ok(name.startsWith('SKEIN_') || name === 'NODE_ENV' || read.includes(name), name)
    }
  }
})

test('the settings are taken, and mean what the comments say', async () => {
  const bridged = resolveConfig({}, composeEnvironment('compose.yaml'), 'container')
  const services = Object.keys((yamlFile('compose.yaml') as { services: object }).services)
  assert.equal(bridged.discovery.dns, services, 'Docker answers the name of the service')
  assert.is(bridged.discovery.mdns, false)
  const hosted = resolveConfig({}, { ...composeEnvironment('compose.host.yaml'), ...filledIn }, 'machine')
  assert.is(hosted.name, 'app1@machine')
  assert.is(hosted.discovery.mdns, true)
  assert.equal(hosted.discovery.seeds, [{ host: '10.0.0.7', port: 4433 }])
  const pods = resolveConfig({}, kubernetesEnvironment(), 'app-0')
  assert.equal(pods.discovery, { mdns: false, dht: undefined, seeds: [], dns: ['app-nodes'] })
  const unit = unitEnvironment()
  const { config } = await loadConfig({ configFile: join(FOLDER, basename(unit.SKEIN_CONFIG ?? '')) }, unit, 'machine')
  assert.is(config.name, 'app1@machine')
  // The only folder that the unit lets the program write to.
  const state = join('/var/lib', unitLines().get('StateDirectory')?.[0] ?? '')
  assert.is(dirname(String(config.identity)), state)
  assert.is(dirname(String(config.discovery.dht?.contactsFile)), state)
  for (const one of [bridged, hosted, pods, config])
    assert.equal([one.port, one.portFallback, one.cluster], [4433, false, 'shop'])
})

const filledIn = { SKEIN_NAME: 'app1', SKEIN_SEEDS: '10.0.0.7:4433' }

test('ports are those of the program everywhere', () => {
  const exposed = /^EXPOSE (.*)$/m.exec(productionFile('Dockerfile'))?.[1]?.split(' ')
  assert.equal(exposed, [`${DEFAULT_PORT}/udp`, '9090/tcp'])
  const [container] = kinds('StatefulSet').spec.template.spec.containers
  const listening = container.ports.map(({ name, containerPort, protocol }: Kubernetes) => [
    name,
    containerPort,
    protocol,
  ])
  assert.equal(listening, [
    ['skein', Number(DEFAULT_PORT), 'UDP'],
    ['health', 9090, 'TCP'],
  ])
  const { port, targetPort, protocol } = kinds('Service').spec.ports[0]
  assert.equal([port, targetPort, protocol], [Number(DEFAULT_PORT), 'skein', 'UDP'])
  for (const environment of [
    composeEnvironment('compose.yaml'),
    composeEnvironment('compose.host.yaml'),
    kubernetesEnvironment(),
    unitEnvironment(),
  ]) {
    assert.is(environment.HEALTH_PORT, '9090')
    assert.is(environment.SKEIN_PORT ?? DEFAULT_PORT, DEFAULT_PORT)
  }
  assert.match(productionFile('prometheus.yaml'), ':9090')
})

test('whoever kills waits longer than the program drains', () => {
  const drainMs = Number(/DRAIN_TIMEOUT_MS = ([\d_]+)/.exec(PROGRAM)?.[1]?.replaceAll('_', ''))
  assert.ok(drainMs > 0)
  const graces = [
    ...['compose.yaml', 'compose.host.yaml'].map((file) => {
      const { services } = yamlFile(file) as { services: Record<string, { stop_grace_period: string }> }
      return Number.parseInt(Object.values(services)[0]?.stop_grace_period ?? '', 10)
    }),
    kinds('StatefulSet').spec.template.spec.terminationGracePeriodSeconds,
    Number(unitLines().get('TimeoutStopSec')?.[0]),
  ]
  for (const seconds of graces) assert.ok(seconds * 1000 > drainMs + 5000, String(seconds))
})

test('in Kubernetes: names, labels, probes and the cookie fit together', () => {
  const set = kinds('StatefulSet')
  const service = kinds('Service')
  const { labels } = set.spec.template.metadata
  assert.equal(service.spec.selector, labels)
  assert.equal(set.spec.selector.matchLabels, labels)
  assert.equal(kinds('PodDisruptionBudget').spec.selector.matchLabels, labels)
  const policy = kinds('NetworkPolicy').spec
  assert.equal(policy.podSelector.matchLabels, labels)
  assert.equal(
    policy.ingress.flatMap(({ ports }: Kubernetes) => ports.map(({ port, protocol }: Kubernetes) => [port, protocol])),
    [
      ['skein', 'UDP'],
      ['health', 'TCP'],
    ],
  )
  assert.is(service.spec.clusterIP, 'None')
  assert.is(service.spec.publishNotReadyAddresses, true)
  assert.is(set.spec.serviceName, service.metadata.name)
  const environment = kubernetesEnvironment()
  assert.is(environment.SKEIN_DNS, service.metadata.name)
  assert.is(environment.HEALTH_HOST, '0.0.0.0')

  const { containers, volumes, securityContext } = set.spec.template.spec
  const [container] = containers
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe]
  assert.equal(
    probes.map(({ httpGet }) => [httpGet.path, httpGet.port]),
    [
      ['/live', 'health'],
      ['/live', 'health'],
      ['/ready', 'health'],
    ],
  )
  const [mount] = container.volumeMounts
  assert.is(mount.mountPath, dirname(environment.SKEIN_COOKIE_FILE ?? ''))
  assert.is(mount.name, volumes[0].name)
  // What certs/secret-file.ts takes of root: readable for the group, for nobody else.
  assert.is(volumes[0].secret.defaultMode, 0o440)
  assert.is(securityContext.fsGroup, securityContext.runAsGroup)
  assert.match(productionFile('kubernetes.yaml'), `generic ${volumes[0].secret.secretName} --from-literal=cookie=`)
})

test('the image runs what its files are, without npm between', () => {
  const text = productionFile('Dockerfile')
  assert.equal(dockerfileCommand('CMD'), ['node', 'app.js'])
  assert.match(text, /^COPY package\.json app\.js \.\/$/m)
  const ignored = productionFile('.dockerignore').split('\n')
  for (const file of ['package.json', 'package-lock.json', 'app.js']) assert.ok(ignored.includes(`!${file}`), file)
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } }
  const images = Array.from(text.matchAll(/^FROM node:(\d+)-bookworm-slim/gm), ([, major]) => Number(major))
  assert.is(images.length, 2)
  for (const major of images) assert.ok(major > Number.parseInt(engines.node.slice(2), 10), `${major}`)
})

test('alerts and dashboards use metrics that exist', () => {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8')
  const known = Array.from(page.matchAll(/^\| (skein_\w+) \|/gm), ([, name]) => name)
  const { groups } = yamlFile('alerts.yaml') as { groups: { rules: { alert: string; expr: string }[] }[] }
  const used = groups.flatMap(({ rules }) => rules.flatMap(({ expr }) => expr.match(/skein_\w+/g) ?? []))
  assert.ok(used.length >= 8)
  for (const name of used) assert.ok(known.includes(name), name)
  const { rule_files } = yamlFile('prometheus.yaml') as { rule_files: string[] }
  assert.equal(rule_files, ['alerts.yaml'])
})

test('systemd takes the unit', (t) => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) t.missing('systemd')
  const folder = mkdtempSync(join(tmpdir(), 'skein-unit-'))
  t.defer(() => rmSync(folder, { recursive: true, force: true }))
  const verify = (text: string): string => {
    const unit = join(folder, 'skein-app.service')
    writeFileSync(unit, text)
    const { stdout, stderr, status } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    return status === 0 ? stdout + stderr : `${status}: ${stdout}${stderr}`
  }
  // Node.js may be elsewhere on this machine.
  const unit = productionFile('skein-app.service').replace('/usr/bin/node', process.execPath)
  assert.is(verify(unit), '')
  assert.is.not(verify(unit.replace('TimeoutStopSec=45', 'TimeoutStopSecs=45')), '', 'it would tell of a mistake')
  assert.is.not(verify(unit.replace('SystemCallFilter=@system-service', 'SystemCallFilter=@nothing')), '')
})

test.run()
