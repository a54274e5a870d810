import { punch, World, type NatType } from '/work/main/test/src/cluster/reach/nat-world.ts'
const relayDelays = (latencyMs: number, seed: number): [number, number] => {
  const share = (1 + ((seed * 7) % 9)) / 10
  const detourMs = 1 + ((seed * 13) % 40)
  return [latencyMs * share + detourMs, latencyMs * (1 - share) + detourMs]
}
const N = Number(process.argv[2] ?? 60)
for (const routers of [1, 0])
  for (const types of [['port','sym']] as [NatType,NatType][])
  for (const acc of (routers===1?[[true,true]]:[[true,false],[false,true]]) as [boolean,boolean][]) {
    let line = ''
    for (const latencyMs of types[1]==='sym'?[0,20,100]:[0,20]) {
      const t: number[] = []
      for (let seed = 1; seed <= N; seed++) {
        const d = relayDelays(latencyMs, seed)
        const w = new World({ seed, latencyMs, routers, sites: [{type:types[0],accepts:acc[0],relayMs:d[0]},{type:types[1],accepts:acc[1],relayMs:d[1]}] } as never)
        const { openMs } = await punch(w, 5300)
        if (openMs !== undefined && openMs < 5000) t.push(openMs)
      }
      t.sort((a,b)=>a-b)
      line += ` | ${latencyMs}ms ${t.length}/${N} p50 ${t[t.length>>1]?.toFixed(0)} max ${t.at(-1)?.toFixed(0)}`
    }
    console.log(`routers ${routers} ${types} ${acc}${line}`)
  }
