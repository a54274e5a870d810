/**
 * What can go wrong in a chaos run. Each fault begins, lasts, and is undone; which members it touches is kept, because a
 * node may go down for others only if something happened to it, to them, or between them.
 */
import type { Random } from '../../transport/random.ts'
import type { Hosts } from './hosts.ts'
import type { MemberProcess } from './process.ts'

export interface World {
  readonly hosts: Hosts
  readonly members: readonly MemberProcess[]
  readonly random: Random
  /** Members that run and that no other fault of this round concerns. */
  free(): number[]
  sleep(ms: number): Promise<void>
}

export interface Fault {
  readonly text: string
  /** Members that it happens to. */
  readonly touches: readonly number[]
  /** Ways that are blocked: pairs of members. */
  readonly between: readonly (readonly [number, number])[]
  begin(): Promise<void> | void
  /** Undoes it: afterwards everybody runs and every way is open. */
  end(): Promise<void> | void
}

const below = (random: Random, count: number): number => Math.floor(random.float() * count)

const pick = (random: Random, from: readonly number[], count: number): number[] => {
  const left = [...from]
  return Array.from({ length: Math.min(count, left.length) }, () => left.splice(below(random, left.length), 1)[0]!)
}

type Maker = (world: World) => Fault | undefined

const nameOf = (i: number): string => `m${i + 1}`
const namesOf = (list: readonly number[]): string => list.map(nameOf).join(',')

const onOne =
  (
    what: string,
    begin: (member: MemberProcess) => Promise<void> | void,
    end: (member: MemberProcess) => unknown,
  ): Maker =>
  ({ members, free, random }) => {
    const [one] = pick(random, free(), 1)
    if (one === undefined) return undefined
    const member = members[one]!
    return {
      text: `${what} ${nameOf(one)}`,
      touches: [one],
      between: [],
      begin: () => begin(member),
      end: async () => {
        await end(member)
      },
    }
  }

const kill = onOne(
  'kill -9',
  (member) => member.kill(),
  (member) => member.start(),
)

const restart = onOne(
  'graceful stop of',
  (member) => member.leave({ do: 'stop' }),
  (member) => member.start(),
)

const drain = onOne(
  'drain',
  (member) => member.leave({ do: 'drain', timeoutMs: 5000 }),
  (member) => member.start(),
)

const pause = onOne(
  'SIGSTOP',
  (member) => member.pause(),
  (member) => member.resume(),
)

/** kill -9 and back at once: the others may hear of the new one before they miss the old one. */
const quick: Maker = (world) => {
  const fault = kill(world)
  if (fault === undefined) return undefined
  const [one] = fault.touches
  const member = world.members[one!]!
  return {
    ...fault,
    text: `kill -9 and restart at once ${nameOf(one!)}`,
    begin: async () => {
      await member.kill()
      await member.start()
    },
    end: () => {},
  }
}

const blocks = (
  { hosts }: World,
  text: string,
  touches: readonly number[],
  ways: readonly (readonly [number, number])[],
): Fault => ({
  text,
  touches,
  between: ways,
  begin: () => {
    for (const [from, to] of ways) hosts.block(from, to)
  },
  end: () => {
    for (const [from, to] of ways) hosts.unblock(from, to)
  },
})

const both = (a: readonly number[], b: readonly number[]): [number, number][] =>
  a.flatMap((i) =>
    b.flatMap((j): [number, number][] => [
      [i, j],
      [j, i],
    ]),
  )

const partition: Maker = (world) => {
  const { members, random } = world
  const all = members.map((_, i) => i)
  const some = pick(random, all, 1 + below(random, Math.floor(all.length / 2)))
  const others = all.filter((i) => !some.includes(i))
  return blocks(world, `partition ${namesOf(some)} | ${namesOf(others)}`, [], both(some, others))
}

const oneWay: Maker = (world) => {
  const { members, random } = world
  const all = members.map((_, i) => i)
  const [from, ...to] = pick(random, all, 2 + below(random, all.length - 2))
  return blocks(
    world,
    `one way lost ${nameOf(from!)} > ${namesOf(to)}`,
    [],
    to.map((one) => [from!, one] as const),
  )
}

const cut: Maker = (world) => {
  const [a, b] = pick(
    world.random,
    world.members.map((_, i) => i),
    2,
  )
  return blocks(world, `link cut ${nameOf(a!)} - ${nameOf(b!)}`, [], both([a!], [b!]))
}

const loss: Maker = ({ hosts, members, random }) => {
  const [one] = pick(
    random,
    members.map((_, i) => i),
    1,
  )
  const percent = 5 + below(random, 20)
  return {
    text: `${percent} % loss at ${nameOf(one!)}`,
    touches: [one!],
    between: [],
    begin: () => hosts.lose(one!, percent),
    end: () => hosts.lose(one!, 0),
  }
}

const MAKERS: readonly Maker[] = [
  kill,
  kill,
  quick,
  restart,
  drain,
  pause,
  pause,
  partition,
  partition,
  oneWay,
  cut,
  loss,
]

/** One to three faults at once. */
export const makeFaults = (world: World): Fault[] => {
  const faults: Fault[] = []
  const touched = new Set<number>()
  const free = (): number[] => world.free().filter((i) => !touched.has(i))
  const count = 1 + below(world.random, 3)
  for (let i = 0; i < count; i++) {
    const fault = MAKERS[below(world.random, MAKERS.length)]!({ ...world, free })
    if (fault === undefined) continue
    for (const one of fault.touches) touched.add(one)
    faults.push(fault)
  }
  return faults
}
