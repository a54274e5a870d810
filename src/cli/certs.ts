/**
 * `skein certs`: an authority (CA) for a cluster, and the certificates that it signs.
 *
 * The authority is a folder with two files, its key and its certificate. A node needs its own file and the certificate of
 * the authority, never the key of the authority. Nothing here talks to the network.
 */
import { join } from 'node:path'
import type { Command } from 'commander'
import { endsSoon } from '../../certs/certificate.ts'
import { configFolder } from '../../certs/config-folder.ts'
import { processEnvironment } from '../config.ts'
import {
  type CertificateReport,
  certificateFile,
  issueTo,
  makeAuthority,
  openAuthority,
  renewIn,
  reportsOn,
} from './certs-folder.ts'
import { addHelp } from './help.ts'
import { jsonOption, parseWithin } from './options.ts'
import { palette, printJson, printLine } from './output.ts'

const DAY_MS = 24 * 60 * 60_000
const AUTHORITY_DAYS = 3650
const CERTIFICATE_DAYS = 365
/** Centuries are of no use to anybody. */
const MAX_DAYS = 36_500

interface CertsOptions {
  readonly folder?: string
  readonly days?: number
  readonly json?: boolean
}

export const addCerts = (program: Command): void => {
  const certs = program
    .command('certs')
    .description('certificates: an authority (CA) for the cluster, and nodes it signs for')
  addHelp(
    certs,
    [
      { command: 'skein certs ca', does: 'make an authority: its key stays on this machine' },
      { command: 'skein certs issue a.pem', does: 'key and certificate for a node' },
      { command: 'skein start --name a --identity a.pem --ca ca.pem', does: 'a node that lets in none but such nodes' },
      { command: 'skein certs issue ops.pem', does: 'one for tools, as in: skein nodes --identity ops.pem' },
      { command: 'skein certs renew a.pem', does: 'a new certificate for the same key' },
    ],
    'The cookie is needed as well: a certificate alone makes no member. docs/certs.md tells more.',
  )

  const ca = certs.command('ca').description('make an authority')
  addOptions(ca, AUTHORITY_DAYS).action(async (options: CertsOptions) => {
    const folder = folderOf(options)
    await makeAuthority(folder, Date.now(), daysOf(options, AUTHORITY_DAYS))
    await show([certificateFile(folder)], options)
    if (options.json === true) return
    printLine(`Nodes need ${certificateFile(folder)}; its key, beside it, is for you alone.`)
  })
  addHelp(ca, [
    { command: 'skein certs ca', does: "in the user's folder of configuration" },
    { command: 'skein certs ca --folder shop --days 730', does: 'in ./shop, for two years' },
  ])

  const issue = certs
    .command('issue')
    .description('sign for a node: for the key in FILE, or a new one if there is no such file')
    .argument('<file...>', 'files with key and certificate, as the option identity takes them')
  addOptions(issue, CERTIFICATE_DAYS).action(async (files: readonly string[], options: CertsOptions) => {
    const authority = await openAuthority(folderOf(options))
    for (const file of files) {
      await issueTo(file, authority, Date.now(), daysOf(options, CERTIFICATE_DAYS))
      await show([file], options)
    }
  })
  addHelp(issue, [
    { command: 'skein certs issue a.pem b.pem', does: 'for two nodes' },
    { command: 'skein certs issue a.pem --days 30', does: 'for a month' },
    { command: 'skein certs issue old.pem', does: 'for a node that has a key: id and key stay' },
  ])

  const showing = certs
    .command('show')
    .description('tell what certificates say: who signed, for whom, until when')
    .argument('[file...]', 'files of nodes, or of authorities (default: the authority)')
  addOptions(showing).action((files: readonly string[], options: CertsOptions) =>
    show(files.length === 0 ? [certificateFile(folderOf(options))] : files, options),
  )
  addHelp(showing, [
    { command: 'skein certs show', does: 'the authority' },
    { command: 'skein certs show a.pem b.pem', does: 'two nodes' },
    { command: 'skein certs show a.pem --json | jq .daysLeft', does: 'for a monitor' },
  ])

  const renewing = certs
    .command('renew')
    .description('sign anew for the same key, by the authority that signed before')
    .argument('<file...>', 'files with key and certificate, as "skein certs issue" made them')
  addOptions(renewing, CERTIFICATE_DAYS).action(async (files: readonly string[], options: CertsOptions) => {
    const open = () => openAuthority(folderOf(options))
    for (const file of files) {
      await renewIn(file, open, Date.now(), daysOf(options, CERTIFICATE_DAYS))
      await show([file], options)
    }
  })
  addHelp(
    renewing,
    [
      { command: 'skein certs renew a.pem', does: 'for another year' },
      { command: 'skein certs renew *.pem --folder shop', does: 'for all nodes of that authority' },
    ],
    `A node that runs with the file takes the new certificate up within an hour. One that no authority has signed is
refused: the node itself renews it.`,
  )
}

const addOptions = (command: Command, days?: number): Command => {
  command.option('--folder <folder>', `folder of the authority (default: ${join('~', '.config', 'skein', 'ca')})`)
  if (days !== undefined)
    command.option('--days <days>', `how long the certificate lasts (default: ${days})`, parseDays)
  return command.addOption(jsonOption())
}

const parseDays = parseWithin(1, MAX_DAYS)

const folderOf = ({ folder }: CertsOptions): string => folder ?? join(configFolder(processEnvironment()), 'ca')

const daysOf = ({ days }: CertsOptions, otherwise: number): number => (days ?? otherwise) * DAY_MS

const show = async (files: readonly string[], { json = false }: CertsOptions): Promise<void> => {
  for (const file of files) {
    for (const report of await reportsOn(file)) {
      if (json) printJson(toPrinted(report))
      else for (const line of linesOf(report)) printLine(line)
    }
  }
}

const daysLeft = ({ notAfterMs }: CertificateReport): number => Math.floor((notAfterMs - Date.now()) / DAY_MS)

const stateOf = (report: CertificateReport): string => {
  const { bad, good } = palette()
  const left = daysLeft(report)
  if (left < 0) return bad('has ended')
  return (endsSoon(report, Date.now()) ? bad : good)(`${left} ${left === 1 ? 'day' : 'days'} left`)
}

const dateOf = (ms: number): string => new Date(ms).toISOString()

const toPrinted = (report: CertificateReport) => ({
  file: report.file,
  kind: report.kind,
  id: report.id,
  signedBy: report.signedBy ?? report.id,
  notBefore: dateOf(report.notBeforeMs),
  notAfter: dateOf(report.notAfterMs),
  daysLeft: daysLeft(report),
})

const linesOf = (report: CertificateReport): string[] => {
  return [
    palette().bold(report.file),
    `  ${report.kind.padEnd(10)}  ${report.id}`,
    `  signed by   ${report.signedBy ?? 'its own key'}`,
    `  valid       ${dateOf(report.notBeforeMs)} to ${dateOf(report.notAfterMs)}, ${stateOf(report)}`,
  ]
}
