// SPDX-License-Identifier: Apache-2.0
// Circuit relay v2 with js-libp2p: every one of the three parts, the relay, the peer behind it and the one that dials,
// is ours or theirs. Everything waits for an event with a deadline; nothing sleeps.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, describe, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { ChildPeer } from './child_peer.mjs'

const echo_protocol = '/dignet/echo/1.0.0'
const scratch = mkdtempSync(join(tmpdir(), 'dignet-relay-'))
const ours_command = join(process.env.DIGNET_BIN_DIR, 'interop_peer')
let homes = 0

const start_ours = (...role) => ChildPeer.start('ours', ours_command, [join(scratch, `home-${homes++}`), ...role])
const start_js = (key, ...role) =>
  ChildPeer.start(`js ${key}`, process.execPath, [join(import.meta.dirname, 'peer.mjs'), key, ...role])

// The address under which the peer says that it is reached through the relay.
async function relayed_address (peer, relay) {
  for (;;) {
    const { addresses } = await peer.next('addresses')
    const found = addresses.find(address => address.includes(`/p2p/${relay.peer_id}/p2p-circuit`))
    if (found) return found.endsWith(peer.peer_id) ? found : `${found}/p2p/${peer.peer_id}`
  }
}

async function stop (...peers) {
  for (const peer of peers) peer.command('quit')
  for (const peer of peers) assert.equal((await peer.ended).code, 0, peer.name)
}

const relays = [['our relay', () => start_ours('relay')],
  ...['ed25519', 'rsa', 'secp256k1'].map(key => [`js relay with a key of ${key}`, () => start_js(key, 'relay')])]
const makers = { ours: start_ours, js: (...role) => start_js('ed25519', ...role) }

for (const [name, start_relay] of relays) {
  describe(name, () => {
    let relay
    before(async () => { relay = await start_relay() })
    after(() => stop(relay))

    for (const target_kind of ['ours', 'js']) {
      for (const dialler_kind of ['ours', 'js']) {
        test(`${dialler_kind} to ${target_kind}`, async () => {
          const [target, dialler] = await Promise.all([makers[target_kind]('at', relay.address), makers[dialler_kind]()])
          target.command(`handle ${echo_protocol}`)
          dialler.command(`dial ${await relayed_address(target, relay)}`)
          const dialled = await dialler.next('dialled')
          assert.equal(dialled.ok, true, JSON.stringify(dialled))
          assert.equal(dialled.peer_id, target.peer_id)
          const connected = []
          while (connected.length < 2) { // a relay may also dial back, to tell whether the dialler is reached
            const event = await dialler.next('connected')
            if (!event.inbound) connected.push(event)
          }
          assert.deepEqual(new Set(connected.map(event => event.peer_id)), new Set([relay.peer_id, target.peer_id]))
          const circuit = connected.find(event => event.peer_id === target.peer_id)
          assert.match(circuit.address, /\/p2p-circuit/)
          dialler.command(`echo 4 5000 ${echo_protocol}`)
          const echoed = await dialler.next('echoed')
          assert.equal(echoed.ok, true, JSON.stringify(echoed))
          dialler.command('ping')
          assert.equal((await dialler.next('pinged')).ok, true)
          await stop(dialler, target)
        })
      }
    }

    test('a peer without a reservation is not reached', async () => {
      const [target, dialler] = await Promise.all([start_ours(), start_ours()])
      dialler.command(`dial ${relay.address}/p2p-circuit/p2p/${target.peer_id}`)
      const dialled = await dialler.next('dialled')
      assert.equal(dialled.ok, false)
      assert.match(dialled.detail, /no reservation at the relay/)
      await stop(dialler, target)
    })
  })
}

after(() => {
  ChildPeer.kill_all()
  rmSync(scratch, { recursive: true, force: true })
})
