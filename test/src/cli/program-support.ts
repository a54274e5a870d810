/** The tree of commands in this process, with nothing run. */
import { buildProgram } from '../../../src/cli/program.ts'

export const program = () => buildProgram('1.2.3', 'main.js')
