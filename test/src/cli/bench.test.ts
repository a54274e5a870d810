/**
 * `skein bench` between processes: figures that fit together, and how it fails.
 */
import { hostname } from 'node:os'
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { freshSettings, jsonLines, type Printed, runCli, startCli } from './cli-support.ts'

const DEADLINE_MS = 300_000

const test = suite('bench', { watchdogMs: 700_000 })

interface Flow {
  readonly messages: number
  readonly sizeBytes: number
  readonly tookMs: number
}

test(
  'it measures round trips, messages and bytes, for people and for programs',
  async (t) => {
    const settings = freshSettings()
    const { address } = await startCli(t, ['--name', 'a'], settings)
    const tool = (...args: string[]) => runCli(t, ['bench', ...args, '--for', '1s', '--seed', address], settings)
    const forPrograms = await tool('a', '--json')
    assert.equal([forPrograms.code, forPrograms.stderr], [0, ''])
    const figures = JSON.parse(forPrograms.stdout) as Printed
    assert.equal([figures.node, figures.address, figures.way], [`a@${hostname()}`, address, 'port'])
    const { calls, medianMs, p99Ms } = figures.roundTrip as { calls: number; medianMs: number; p99Ms: number }
    assert.ok(calls > 0 && medianMs > 0 && p99Ms >= medianMs)
    const messages = figures.messages as Flow & { perSecond: number }
    assert.is(messages.sizeBytes, 100)
    assert.ok(Math.abs(messages.perSecond - (messages.messages * 1000) / messages.tookMs) < 1)
    const data = figures.data as Flow & { bytesPerSecond: number }
    assert.is(data.sizeBytes, 65_536)
    assert.ok(Math.abs(data.bytesPerSecond - (data.messages * data.sizeBytes * 1000) / data.tookMs) < data.sizeBytes)

    const forPeople = await tool(address)
    assert.equal([forPeople.code, forPeople.stderr], [0, ''])
    assert.match(
      forPeople.stdout,
      new RegExp(
        `^a@${hostname()} at ${address}\\n` +
          ' {2}round trip +[\\d.]+ m?s +p99 [\\d.]+ m?s; [\\d,]+ calls, one after the other\\n' +
          ' {2}messages +[\\d,]+/s +of 100 bytes, [\\d,]+ sent\\n' +
          ' {2}data +[\\d.]+ MB/s +in messages of 64 KiB\\n$',
      ),
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what cannot be measured is a coded error, and wrong arguments say what is wrong',
  async (t) => {
    const settings = freshSettings()
    const { address } = await startCli(t, ['--name', 'a'], settings)
    const seed = ['--seed', address]
    const [noProcess, noNode, badName, badSpan, noName, help] = await Promise.all([
      runCli(t, ['bench', 'a', '--process', 'nobody', '--json', ...seed], settings),
      runCli(t, ['bench', 'zoe', ...seed], settings),
      runCli(t, ['bench', 'a', '--process', 'a b', ...seed], settings),
      runCli(t, ['bench', 'a', '--for', 'long', ...seed], settings),
      runCli(t, ['bench'], settings),
      runCli(t, ['bench', '--help'], settings),
    ])
    assert.equal([noProcess.code, noProcess.stdout], [1, ''])
    assert.is(jsonLines(noProcess.stderr)[0]?.code, 'ERR_SKEIN_NOPROC')
    assert.equal([noNode.code, noNode.stdout], [1, ''])
    assert.match(noNode.stderr, /^ERR_SKEIN_NODE_UNKNOWN: .*zoe@/)
    assert.equal([badName.code, badSpan.code, noName.code], [2, 2, 2])
    assert.match(badName.stderr, 'It must be 1 to 64 letters')
    assert.match(badSpan.stderr, 'such as 30s, 10m or 2h')
    assert.match(noName.stderr, "missing required argument 'name'")
    assert.is(help.code, 0)
    assert.match(help.stdout, 'skein bench b --for 10s --json')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
