/**
 * The routing table on disk, so that a node that starts again needs nobody to tell it where the others are.
 *
 * Only ids and addresses are kept, and they are no more than a hint: whoever loads them asks before believing. The file is
 * replaced as a whole. One that is missing, damaged or not ours to read is no table: the node joins as if it were new.
 */
import { isIP } from 'node:net'
import { SkeinError } from '../../certs/errors.ts'
import { readSecretFile, replaceSecretFile } from '../../certs/secret-file.ts'
import { formatAddress, parseHostPort } from '../../transport/address.ts'
import { DHT_ID_BYTES, keyText } from './dht-id.ts'
import type { Contact, DhtKey } from './message.ts'

/** Of both families together; a table seldom has more. */
export const MAX_SAVED_CONTACTS = 512
const MAX_FILE_BYTES = 64 * 1024
const VERSION = 1

/** What a DHT node keeps for its next run. */
export interface SavedTable {
  /** The node's own id: with it the contacts stay its neighbours. */
  readonly id: DhtKey
  readonly contacts: readonly Contact[]
}

/** Rejects with ERR_SKEIN_CONTACTS_FILE; then the file is as it was. */
export const saveTable = async (file: string, { id, contacts }: SavedTable): Promise<void> => {
  const nodes = contacts.slice(0, MAX_SAVED_CONTACTS).map((one) => [keyText(one.id), formatAddress(one.address)])
  try {
    await replaceSecretFile(file, Buffer.from(`${JSON.stringify({ version: VERSION, id: keyText(id), nodes })}\n`))
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new SkeinError('ERR_SKEIN_CONTACTS_FILE', `${file} cannot be written (${code ?? message})`, { cause })
  }
}

/** The table in this file; undefined if there is none, or none that is whole. Never rejects. */
export const loadTable = async (file: string): Promise<SavedTable | undefined> => {
  try {
    const bytes = await readSecretFile(file, MAX_FILE_BYTES)
    return bytes === undefined ? undefined : contactsIn(bytes)
  } catch {
    return undefined
  }
}

/** What such a file holds; undefined if it is damaged. */
export const contactsIn = (bytes: Uint8Array): SavedTable | undefined => {
  try {
    return parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch {
    return undefined
  }
}

const parse = (saved: unknown): SavedTable | undefined => {
  if (typeof saved !== 'object' || saved === null) return undefined
  const { version, id, nodes } = saved as { version?: unknown; id?: unknown; nodes?: unknown }
  const own = keyOf(id)
  if (version !== VERSION || own === undefined || !Array.isArray(nodes)) return undefined
  return { id: own, contacts: nodes.slice(0, MAX_SAVED_CONTACTS).flatMap((node: unknown) => contactOf(node) ?? []) }
}

const contactOf = (node: unknown): Contact | undefined => {
  if (!Array.isArray(node)) return undefined
  const [text, where]: unknown[] = node
  const id = keyOf(text)
  if (id === undefined || typeof where !== 'string') return undefined
  const address = parseHostPort(where)
  return isIP(address.host) === 0 ? undefined : { id, address }
}

const keyOf = (text: unknown): DhtKey | undefined =>
  typeof text === 'string' && text.length === 2 * DHT_ID_BYTES && /^[0-9a-f]+$/.test(text)
    ? Uint8Array.from(Buffer.from(text, 'hex'))
    : undefined
