/**
 * TypeScript that compiles to CommonJS.
 */
import { type SkeinNode, startNode } from 'skein'

export const start = (name: string): Promise<SkeinNode> => startNode({ name, discovery: false })
