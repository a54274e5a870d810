/**
 * Whether Skein can run here at all: the version of Node, the C library, and the prebuilt QUIC binary.
 */
import { readFile } from 'node:fs/promises'
import { isSkeinError } from '../../certs/errors.ts'
import { loadQuicEngine } from '../../transport/quiche.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

/** `engines` of the package. */
const LEAST_NODE: readonly [number, number] = [20, 19]

export interface PlatformParts {
  readonly nodeVersion: string
  /** linux-x64 and such. */
  readonly platform: string
  /** 'glibc', 'musl', or undefined where it is neither. */
  readonly libc: () => Promise<string | undefined>
  readonly loadEngine: () => Promise<unknown>
}

const thisPlatform: PlatformParts = {
  nodeVersion: process.versions.node,
  platform: `${process.platform}-${process.arch}`,
  libc: async () => {
    if (process.platform !== 'linux') return undefined
    return libcIn(await readFile('/proc/self/maps', 'utf8').catch(() => ''))
  },
  loadEngine: loadQuicEngine,
}

/** The C library among the files that a process has mapped. */
export const libcIn = (maps: string): string | undefined => {
  if (/\/(?:ld-musl|libc\.musl)-[^/\n]*$/m.test(maps)) return 'musl'
  return /\/libc(?:-\d[^/\n]*)?\.so(?:\.6)?$/m.test(maps) ? 'glibc' : undefined
}

export const checkPlatform = async (parts: PlatformParts = thisPlatform): Promise<readonly Finding[]> => {
  const { nodeVersion, platform } = parts
  const libc = await parts.libc()
  const where = `Node ${nodeVersion} on ${platform}${libc === undefined ? '' : ` with ${libc}`}`
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const [leastMajor, leastMinor] = LEAST_NODE
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    const least = LEAST_NODE.join('.')
    return [failed('platform', where, `Skein needs Node ${least} or later.`, `Install Node ${least} or later.`)]
  }
  try {
    await parts.loadEngine()
  } catch (error) {
    const why = `${isSkeinError(error) ? error.message : String(error)}. Nodes here speak TCP alone, and reach members that listen on it.`
    const remedy =
      libc === 'musl'
        ? 'The QUIC binary needs glibc: use an image with it, such as node:22-slim instead of node:22-alpine.'
        : 'Run npm ci on this platform, so that npm fetches the binary for it; omit neither optional packages nor scripts.'
    return [warning('platform', where, why, remedy)]
  }
  return [ok('platform', `${where}; the QUIC binary loads`)]
}
