/** The part of k-bucket 5 that routing-table.ts uses; the package brings no types. */
declare module 'k-bucket' {
  interface Options {
    readonly localNodeId: Uint8Array
    readonly numberOfNodesPerKBucket: number
  }

  export default class KBucket<Contact extends { readonly id: Uint8Array }> {
    constructor(options: Options)
    add(contact: Contact): this
    remove(id: Uint8Array): this
    get(id: Uint8Array): Contact | null
    closest(id: Uint8Array, count: number): Contact[]
    count(): number
    toArray(): Contact[]
  }
}
