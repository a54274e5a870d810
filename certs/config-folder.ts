/**
 * Where a user's Skein files live when nothing else was said: %APPDATA%\\skein on Windows, elsewhere $XDG_CONFIG_HOME/skein
 * or ~/.config/skein (XDG Base Directory Specification: a relative XDG_CONFIG_HOME is to be ignored).
 */
import { homedir } from 'node:os'
import { posix, win32 } from 'node:path'

/** Variables of a process, as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>

export const configFolder = (env: Environment, platform: string = process.platform): string => {
  if (platform === 'win32') {
    return win32.join(env.APPDATA || win32.join(env.USERPROFILE || homedir(), 'AppData', 'Roaming'), 'skein')
  }
  const xdg = env.XDG_CONFIG_HOME ?? ''
  return posix.join(posix.isAbsolute(xdg) ? xdg : posix.join(env.HOME || homedir(), '.config'), 'skein')
}
