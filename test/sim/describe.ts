/** Facts in one line each, for the log of a failure. */
import { type Fact, nameOf } from './facts.ts'

export const describe = (fact: Fact): string => {
  switch (fact.type) {
    case 'spawnAsked': {
      const { by, how, node, number, isUnknown } = fact.request
      return `${by.id} asks ${node} to ${how}${isUnknown ? ' what is not there' : ''}, request ${number}`
    }
    case 'born':
      return `${fact.actor.id} is born of request ${fact.request.number}${fact.actor.trapExit ? ', it traps exits' : ''}`
    case 'spawnAnswered':
      return `request ${fact.request.number} of ${fact.request.by.id}: ${fact.pid ?? fact.code}`
    case 'spawned':
      return `${fact.by?.id ?? fact.actor.place.name} ${fact.how}s ${fact.actor.id}${fact.actor.trapExit ? ', which traps exits' : ''}`
    case 'ended':
      return `${fact.actor.id} has ended: ${fact.reason}`
    case 'willEnd':
      return `${fact.actor.id} is to end: ${fact.reason}`
    case 'sent':
      return `${fact.flight.from.id} sends ${fact.flight.kind} #${fact.flight.number} (${fact.flight.size} B) to ${nameOf(fact.flight.to)}${fact.flight.isRefused ? ', refused' : ''}`
    case 'arrived':
      return `${fact.actor.id} gets ${fact.flight.kind} #${fact.flight.number} of ${fact.flight.from.id}${fact.isWhole ? '' : ', damaged'}`
    case 'exitSent':
      return `${fact.by.id} sends exit ${fact.reason} to ${fact.to.id}`
    case 'linked':
    case 'unlinked':
      return `${fact.by.id} ${fact.type === 'linked' ? 'links' : 'unlinks'} ${fact.to.id}`
    case 'exit':
      return `${fact.actor.id} gets EXIT of ${fact.of.id}: ${fact.reason}`
    case 'monitored':
      return `${fact.by.id} monitors ${nameOf(fact.of)} as ${fact.ref.number}`
    case 'demonitored':
      return `${fact.by.id} demonitors ${fact.ref.number}${fact.flush ? ' with flush' : ''}: ${fact.was}`
    case 'down':
      return `${fact.actor.id} gets DOWN ${fact.ref.number}: ${fact.reason}`
    case 'nodeSeen':
      return `${fact.actor.id} sees ${fact.isUp ? 'nodeup' : 'nodedown'} ${fact.node}`
    case 'called':
      return `${fact.call.by.id} calls ${nameOf(fact.call.to)}, call ${fact.call.number} for ${fact.call.timeoutMs} ms`
    case 'answered':
      return `${fact.by.id} answers call ${fact.answer.call} with ${fact.answer.number}`
    case 'outcome':
      return `call ${fact.call.number} of ${fact.call.by.id}: ${fact.outcome.type === 'value' ? `answer ${fact.outcome.answer.number}` : `${fact.outcome.code} ${fact.outcome.cause}`}`
    case 'timerSet':
      return `${fact.timer.by.id} sets timer ${fact.timer.ref.number}, #${fact.timer.flight.number}`
    case 'timerCancelled':
      return `${fact.timer.by.id} cancels timer ${fact.timer.ref.number}: ${fact.was}`
    case 'registered':
      return `${fact.actor.id} registers as ${fact.name}${fact.refused ? ', refused' : ''}`
    case 'unregistered':
      return `${fact.place.name} unregisters ${fact.name}${fact.refused ? ', refused' : ''}`
    case 'trap':
      return `${fact.actor.id} traps exits: ${fact.on}`
    case 'nodeup':
    case 'nodedown':
      return `${fact.place.name} ${fact.type} ${fact.node}${fact.type === 'nodedown' ? `, ${fact.reason}` : ''}`
    case 'strange':
      return `${fact.actor.id} gets ${String(fact.message)}`
    case 'fault':
      return fact.text
  }
}
