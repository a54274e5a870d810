import { junk } from '/work/main/bench/junk.ts'
import { print } from '/work/main/bench/report.ts'
const t=performance.now()
for await (const m of junk()) print(m,false)
console.log((performance.now()-t)/1000)
