// SPDX-License-Identifier: Apache-2.0
// Runs our peer against js-libp2p in both roles: connect, identify, ping, echo in both directions, wrong PeerIds, and
// foreign kinds of identities. Everything waits for an event with a deadline; nothing sleeps.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, describe, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { ChildPeer } from './child_peer.mjs'

const echo_protocol = '/dignet/echo/1.0.0'
const mib = 1024 * 1024
const scratch = mkdtempSync(join(tmpdir(), 'dignet-interop-'))
const ours_command = join(process.env.DIGNET_BIN_DIR, 'interop_peer')
let homes = 0

const start_ours = () => ChildPeer.start('ours', ours_command, [join(scratch, `home-${homes++}`)])
const start_js = key => ChildPeer.start(`js ${key}`, process.execPath, [join(import.meta.dirname, 'peer.mjs'), key])

// Another valid PeerId of the same kind: an address that names it must be refused.
const stranger = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

async function connect (dialler, listener) {
  dialler.command(`dial ${listener.address}`)
  const dialled = await dialler.next('dialled')
  assert.equal(dialled.ok, true, JSON.stringify(dialled))
  assert.equal(dialled.peer_id, listener.peer_id)
  const connected = await Promise.all([dialler.next('connected'), listener.next('connected')])
  assert.deepEqual(connected.map(event => [event.peer_id, event.inbound]),
    [[listener.peer_id, false], [dialler.peer_id, true]])
}

function check_identified (event, other) {
  assert.equal(event.peer_id, other.peer_id)
  // Addresses of identify go without the PeerId that the connection has proven.
  const plain = address => address.replace(/\/p2p\/.*$/, '')
  assert.deepEqual(event.addresses.map(plain), [plain(other.address)])
  for (const protocol of ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0', echo_protocol]) {
    assert.ok(event.protocols.includes(protocol), `${other.name} tells ${protocol}: ${event.protocols}`)
  }
  assert.match(event.agent, other.name === 'ours' ? /^dignet\// : /^js-libp2p\//)
  assert.match(event.observed, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
}

async function ping (peer) {
  peer.command('ping')
  const pinged = await peer.next('pinged')
  assert.equal(pinged.ok, true, JSON.stringify(pinged))
  assert.ok(pinged.rtt_ms >= 0 && pinged.rtt_ms < 10_000)
}

async function echo (peer, streams, bytes, t) {
  peer.command(`echo ${streams} ${bytes}`)
  const echoed = await peer.next('echoed', 120_000)
  t.diagnostic(`${peer.name}: ${streams} x ${bytes} bytes each way in ${echoed.seconds.toFixed(2)} s`)
  assert.equal(echoed.ok, true, JSON.stringify(echoed))
  assert.deepEqual([echoed.streams, echoed.bytes, echoed.broken], [streams, bytes, 0])
}

const roles = [['ours dials js', start_ours, () => start_js('ed25519')],
  ['js dials ours', () => start_js('ed25519'), start_ours]]

for (const [role, start_dialler, start_listener] of roles) {
  describe(role, () => {
    let dialler, listener
    before(async () => { [dialler, listener] = await Promise.all([start_dialler(), start_listener()]) })
    after(() => Promise.all([dialler, listener].map(peer => peer?.stop())))

    test('a wrong PeerId is refused and no connection is told', async () => {
      dialler.command(`dial ${listener.address.replace(/[^/]+$/, stranger)}`)
      const refused = await dialler.next('dialled')
      assert.equal(refused.ok, false)
      if (dialler.name === 'ours') assert.equal(refused.error, 'peer_id_mismatch')
      assert.deepEqual(dialler.seen('connected'), [])
    })
    test('they connect', () => connect(dialler, listener))
    test('each is told the addresses and protocols of the other', async () => {
      check_identified(await dialler.next('identified'), listener)
      check_identified(await listener.next('identified'), dialler)
    })
    test('both ping', async () => { await ping(dialler); await ping(listener) })
    test('64 MiB each way on a stream of the dialler', t => echo(dialler, 1, 64 * mib, t))
    test('64 MiB each way on a stream of the listener', t => echo(listener, 1, 64 * mib, t))
    test('100 streams of the dialler at once', t => echo(dialler, 100, 64 * 1024, t))
    test('100 streams of the listener at once', t => echo(listener, 100, 64 * 1024, t))
    test('100 streams of both at once, longer than a window', t =>
      Promise.all([echo(dialler, 100, 300_001, t), echo(listener, 100, 300_001, t)]))
    test('streams without content', async t => {
      await echo(dialler, 10, 0, t)
      await echo(listener, 10, 0, t)
    })
    test('no echo broke on either side, and both still answer', async () => {
      await ping(dialler)
      await ping(listener)
      assert.deepEqual([...dialler.seen('echo_broken'), ...listener.seen('echo_broken')], [])
      // Nor has the attempt with the wrong PeerId left a connection on either side.
      for (const kind of ['connected', 'disconnected']) {
        assert.deepEqual([...dialler.seen(kind), ...listener.seen(kind)], [])
      }
    })
    test('when the dialler goes, the listener is told', async () => {
      await dialler.stop()
      assert.equal((await listener.next('disconnected')).peer_id, dialler.peer_id)
    })
  })
}

for (const key of ['secp256k1', 'ecdsa', 'rsa']) {
  describe(`a foreign identity: ${key}`, () => {
    for (const dials of ['ours', 'js']) {
      test(`${dials} dials`, async t => {
        const [ours, js] = await Promise.all([start_ours(), start_js(key)])
        try {
          await (dials === 'ours' ? connect(ours, js) : connect(js, ours))
          check_identified(await ours.next('identified'), js)
          check_identified(await js.next('identified'), ours)
          await echo(ours, 2, mib, t)
          await echo(js, 2, mib, t)
        } finally {
          await Promise.all([ours.stop(), js.stop()])
        }
      })
    }
  })
}

after(() => {
  ChildPeer.kill_all()
  rmSync(scratch, { recursive: true, force: true })
})
