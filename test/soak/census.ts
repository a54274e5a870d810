/**
 * A census of this process: how many objects there are of each class of the project, and how many entries their maps, sets
 * and arrays have, whatever a snapshot of the node tells. It looks through the engine's inspector, which sees private fields too,
 * after a collection of garbage; nothing is opened, and nothing stays behind.
 */
import { readdirSync } from 'node:fs'
import { type Runtime, Session } from 'node:inspector'
import { fileURLToPath } from 'node:url'
import type { Census } from './protocol.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ROOMS = ['certs', 'transport', 'discovery', 'src'] as const
/** Programs and tools: importing them would run them. */
const LEFT_OUT = /^src\/(cli|doctor|testing|workers)\/|\.d\.ts$/
/** Of one class whose tables are looked at. */
const MAX_LOOKED_AT = 400

type Class = new (...args: never[]) => object

/** All classes that modules of the project export, by name. To be called once; the modules are loaded anyway. */
export const projectClasses = async (): Promise<readonly Class[]> => {
  const files = ROOMS.flatMap((room) =>
    readdirSync(ROOT + room, { recursive: true, encoding: 'utf8' }).map((path) => `${room}/${path}`),
  ).filter((path) => path.endsWith('.ts') && !LEFT_OUT.test(path))
  const classes: Class[] = []
  for (const file of files.sort()) {
    const exported = (await import(ROOT + file)) as Readonly<Record<string, unknown>>
    for (const value of Object.values(exported)) if (isClass(value) && !classes.includes(value)) classes.push(value)
  }
  return classes
}

const isClass = (value: unknown): value is Class =>
  typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))

/** Sizes of the private and public fields of one object that have a size. */
const sizesOf = (properties: readonly Pick<Runtime.PropertyDescriptor, 'name' | 'value'>[]) =>
  properties.flatMap(({ name, value }) => {
    const size = /^(?:Map|Set|Array)\((\d+)\)$/.exec(value?.description ?? '')?.[1]
    return size === undefined ? [] : [[name, Number(size)] as const]
  })

export const takeCensus = (classes: readonly Class[]): Census => {
  const session = new Session()
  session.connect()
  try {
    return censusBy(session, classes)
  } finally {
    session.disconnect()
  }
}

const censusBy = (session: Session, classes: readonly Class[]): Census => {
  /** All that the census asks is answered before `post` returns. */
  const ask = <T>(method: string, params: object): T => {
    let answer: T | undefined
    session.post(method, params, (error: Error | null, result?: object) => {
      if (error !== null) throw error
      answer = result as T
    })
    if (answer === undefined) throw new Error(`${method} was not answered`)
    return answer
  }
  // The inspector gives handles, and only a function that runs in this process can give it one of ours.
  const found: object[] = []
  const bridge = Symbol.for('skein soak census')
  const shared = globalThis as unknown as Record<symbol, unknown>
  const objectGroup = 'census'
  const evaluate = (expression: string): Runtime.RemoteObject =>
    ask<{ result: Runtime.RemoteObject }>('Runtime.evaluate', { expression, objectGroup }).result
  const here = `globalThis[Symbol.for('${bridge.description}')]`
  shared[bridge] = {
    prototype: Object.prototype,
    classes: new Map(classes.map((one) => [one.prototype as object, one])),
    found,
    names: [] as string[],
  }
  try {
    const { objectId: prototypeObjectId } = evaluate(`${here}.prototype`)
    const { objects } = ask<{ objects: Runtime.RemoteObject }>('Runtime.queryObjects', {
      prototypeObjectId,
      objectGroup,
    })
    ask('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      functionDeclaration: `function () {
        const { classes, found } = ${here}
        for (const object of this) if (classes.has(Object.getPrototypeOf(object))) found.push(object)
      }`,
    })
    const instances: Record<string, number> = {}
    const tables: Record<string, number> = {}
    for (const [index, object] of found.entries()) {
      const name = object.constructor.name
      instances[name] = (instances[name] ?? 0) + 1
      if (instances[name] > MAX_LOOKED_AT) continue
      const { objectId } = evaluate(`${here}.found[${index}]`)
      const { result = [], privateProperties = [] } = ask<{
        result?: Runtime.PropertyDescriptor[]
        privateProperties?: Runtime.PropertyDescriptor[]
      }>('Runtime.getProperties', { objectId, ownProperties: true })
      for (const [field, size] of sizesOf([...result, ...privateProperties])) {
        const key = `${name}.${field}`
        tables[key] = (tables[key] ?? 0) + size
      }
    }
    return { instances, tables }
  } finally {
    found.length = 0
    delete shared[bridge]
    ask('Runtime.releaseObjectGroup', { objectGroup })
  }
}
