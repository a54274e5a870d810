/** Nodes: G28 for each node nodeup and nodedown alternate, in the events of the node as in mailboxes (order.ts). */
import { type Fact, type Rule, Violation } from '../facts.ts'

export class NodeRule implements Rule {
  see(fact: Fact): void {
    if (fact.type !== 'nodeup' && fact.type !== 'nodedown') return
    const { place, node, type } = fact
    if (place.up.has(node) === (type === 'nodeup'))
      throw new Violation('G28', `${place.name} said ${type} ${node} twice`)
  }
}
