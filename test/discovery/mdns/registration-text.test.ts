import * as assert from 'uvu/assert'
import { readRegistrations, registrationTexts } from '../../../discovery/mdns/registration-text.ts'
import type { Registration } from '../../../discovery/source.ts'
import { suite } from '../../support/suite.ts'

const test = suite('mdns registrations')

const read = (texts: readonly string[]): Registration[] =>
  readRegistrations(
    new Map(
      texts.map((text) => {
        const end = text.indexOf('=')
        return [text.slice(0, end), text.slice(end + 1)] as const
      }),
    ),
  )

test('what is written is read, whatever texts it holds', () => {
  const registrations: Registration[] = [
    { name: 'web', metadata: {} },
    { name: 'api@host', metadata: { port: '80', 'a=b;c': 'x=y;z%', empty: '', ü: '☃ \n' } },
  ]
  assert.equal(registrationTexts(registrations), ['r0=web', registrationTexts(registrations)[1]!])
  assert.equal(read(registrationTexts(registrations)), registrations)
  assert.equal(registrationTexts(), [])
})

test('what does not fit a string of a TXT record is left out', () => {
  const texts = registrationTexts([
    { name: 'big', metadata: { text: 'x'.repeat(250) } },
    { name: 'small', metadata: {} },
  ])
  assert.equal(texts, ['r1=small'])
})

test('nonsense is ignored, and a key of a prototype is just a key', () => {
  assert.equal(read(['r0=', 'r1=%zz', 'r2=two%20words', 'r9=late', 'r3=ok;%zz=1;novalue;k=v', 'x=y']), [
    { name: 'ok', metadata: { k: 'v' } },
  ])
  const [one] = read(['r0=n;__proto__=x'])
  assert.equal(Object.entries(one!.metadata), [['__proto__', 'x']])
})

test.run()
