/**
 * What the services of a node tell of themselves in its snapshots: counts, and the first few of whatever there is.
 */
import type { Probes } from '../observe/probes.ts'
import { firstOf } from '../process/first-of.ts'
import type { GlobalService } from './global/global-service.ts'
import { DEFAULT_SCOPE, type GroupService } from './groups/group-service.ts'
import type { Registries } from './registry/registries.ts'
import type { NodeBoard } from './supervision/node-board.ts'

/** Names and groups that are listed. */
const MAX_LISTED = 64

interface Observable {
  readonly global: GlobalService
  readonly groups: GroupService
  readonly registries: Registries
  readonly nodes: NodeBoard
}

export const addServiceProbes = (probes: Probes, { global, groups, registries, nodes }: Observable): void => {
  probes.add('global', () => {
    const own = global.ownNames()
    return { names: global.table.names().length, ownNames: own.length, list: firstOf(own, MAX_LISTED) }
  })
  probes.add('groups', () => {
    const names = groups.groups(DEFAULT_SCOPE)
    const list = firstOf(names, MAX_LISTED).map((group) => ({
      group,
      members: groups.members(DEFAULT_SCOPE, group).length,
      localMembers: groups.localMembers(DEFAULT_SCOPE, group).length,
    }))
    return { groups: names.length, list }
  })
  probes.add('registries', () => firstOf(registries.list(), MAX_LISTED))
  probes.add('drain', () => ({ isDraining: nodes.isDraining, members: nodes.members().length }))
  probes.addCheck('draining', () => (nodes.isDraining ? 'the node is about to leave' : undefined))
}
