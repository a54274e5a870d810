/** What nodes tell their operators of others that do not keep to the rules. Where all keep to them that is nothing. */
import type { SkeinNode } from '../../src/index.ts'

export class Refusals {
  readonly told: string[] = []

  listen(node: SkeinNode): void {
    void (async () => {
      for await (const event of node.events) {
        if (event.type === 'forbidden') this.told.push(`${node.name} forbids ${event.node} to ${event.attempt}`)
        if (event.type === 'memberRefused') this.told.push(`${node.name} refuses ${event.node}: ${event.message}`)
      }
    })()
  }
}
