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

async function start (name, command, args) {
  const peer = await ChildPeer.start(name, command, args)
  peer.command(`handle ${echo_protocol}`)
  return peer
}
const start_ours = () => start('ours', ours_command, [join(scratch, `home-${homes++}`)])
const start_js = key => start(`js ${key}`, process.execPath, [join(import.meta.dirname, 'peer.mjs'), key])

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

// A peer may tell itself more than once: js-libp2p pushes what has changed a second after the change.
async function identified_with (peer, protocol) {
  for (;;) {
    const event = await peer.next('identified')
    if (event.protocols.includes(protocol)) return event
  }
}

async function check_identified (peer, other) {
  const event = await identified_with(peer, echo_protocol)
  assert.equal(event.peer_id, other.peer_id)
  // Addresses of identify go without the PeerId that the connection has proven.
  const plain = address => address.replace(/\/p2p\/.*$/, '')
  const over_tcp = event.addresses.filter(address => !address.includes('/ws'))
  assert.deepEqual(over_tcp.map(plain), [plain(other.address)])
  for (const protocol of ['/ipfs/id/1.0.0', '/ipfs/id/push/1.0.0', '/ipfs/ping/1.0.0']) {
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
  peer.command(`echo ${streams} ${bytes} ${echo_protocol}`)
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
      await check_identified(dialler, listener)
      await check_identified(listener, dialler)
    })
    test('a protocol that nobody handles is refused, and then known by an identify push', async t => {
      for (const [asker, other] of [[dialler, listener], [listener, dialler]]) {
        const protocol = `/dignet/late-${other.name.split(' ')[0]}/1.0.0`
        asker.command(`echo 1 1000 ${protocol}`)
        const refused = await asker.next('echoed')
        assert.deepEqual([refused.ok, refused.broken], [false, 1])
        assert.match(refused.error, /protocol/i)
        other.command(`handle ${protocol}`)
        assert.equal((await identified_with(asker, protocol)).peer_id, other.peer_id)
        asker.command(`echo 1 1000 ${protocol}`)
        assert.equal((await asker.next('echoed')).ok, true)
      }
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
          await check_identified(ours, js)
          await check_identified(js, ours)
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
