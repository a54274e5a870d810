import { setTimeout as sleep } from 'node:timers/promises'
import { NatLab } from './lab.ts'
import { knows, meetServers, PORT, startServers } from './matrix.ts'
import { Member } from './member-process.ts'

const [, , ta, tb, own = 'drop', rtt = '0'] = process.argv
const cleanUps: (() => unknown)[] = []
const t = {
  defer: (f: () => unknown) => cleanUps.push(f),
  skip: (r: string) => {
    throw new Error(r)
  },
  missing: (r: string) => {
    throw new Error(r)
  },
} as never
try {
  const lab = await NatLab.open(t, { roundTripMs: Number(rtt) })
  lab.arrange(ta as never, tb as never, own as never)
  const [s1, s2, a, b] = (await Promise.all([...lab.servers, lab.a, lab.b].map((host) => Member.spawn(t, host)))) as [
    Member,
    Member,
    Member,
    Member,
  ]
  await startServers(s1, s2)
  await a.start({ name: 'a@lab', port: PORT, logLevel: 'debug' })
  await b.start({ name: 'b@lab', port: PORT, logLevel: 'debug' })
  await Promise.all([meetServers(lab, a), meetServers(lab, b)])
  await knows(a, 'b@lab')
  const dumps = (
    [
      ['A', lab.a, 'eth0'],
      ['natA', lab.boxA, 'wan'],
      ['natB', lab.boxB, 'wan'],
      ['B', lab.b, 'eth0'],
    ] as const
  ).map(([n, h, i]) =>
    h.spawn('tcpdump', ['-i', i, '-n', '-l', '-w', `/tmp/h8-${n}.pcap`, 'udp or tcp'], { stdio: 'ignore' }),
  )
  await sleep(1000)
  lab.wall(lab.boxA, true)
  console.log(Date.now() / 1000, await a.connect('b@lab', 0))
  await a.talk({ peer: 'b@lab', speakers: 2, perSecond: 10_000 })
  await b.talk({ peer: 'a@lab', speakers: 2, perSecond: 10_000 })
  await sleep(2000)
  lab.wall(lab.boxA, false)
  console.log('open', Date.now() / 1000)
  for (let i = 0; i < 40; i++) { await sleep(1000); const w = (await a.connection('b@lab'))?.way; const y = await a.tally(); console.log(i, y.sent, y.received, y.longestSilenceMs); if (w !== 'relay') { console.log(i, w); break } }
  await sleep(1000)
  for (const d of dumps) d.kill('SIGINT')
  await sleep(300)
  console.log(a.log())
  console.log(b.log())
} finally {
  for (const f of cleanUps.reverse()) await f()
}
