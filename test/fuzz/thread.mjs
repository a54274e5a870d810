/** The thread of watch.ts: its sources are TypeScript. */
import { register } from 'tsx/esm/api'

register()
await import('./loop.ts')
