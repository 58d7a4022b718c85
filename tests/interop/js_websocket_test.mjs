// SPDX-License-Identifier: Apache-2.0
// libp2p over WebSocket (/ws, /tls/ws) with js-libp2p in Node.js and in headless Chromium. Everything waits for an event
// with a deadline; nothing sleeps.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, describe, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { ChildPeer } from './child_peer.mjs'

const echo_protocol = '/dignet/echo/1.0.0'
const scratch = mkdtempSync(join(tmpdir(), 'dignet-websocket-'))
const ours_command = join(process.env.DIGNET_BIN_DIR, 'interop_peer')
let homes = 0

async function start (name, command, args) {
  const peer = await ChildPeer.start(name, command, args)
  peer.command(`handle ${echo_protocol}`)
  return peer
}
const start_ours = () => start('ours', ours_command, [join(scratch, `home-${homes++}`)])
// Our certificate is bound to our PeerId and no authority has signed it: js-libp2p has to be told that this is meant.
const start_js = role =>
  start('js', 'env', ['NODE_TLS_REJECT_UNAUTHORIZED=0', process.execPath, join(import.meta.dirname, 'peer.mjs'), 'ed25519',
    ...role ? [role] : []])

// Every port takes each of these.
const over = (carrier, peer) => peer.address.replace(/(\/ws)?\/p2p\//, `${carrier}/p2p/`)

async function stop (...peers) {
  for (const peer of peers) peer.command('quit')
  for (const peer of peers) assert.equal((await peer.ended).code, 0, peer.name)
}

async function talk (dialler, listener, address) {
  dialler.command(`dial ${address}`)
  const dialled = await dialler.next('dialled')
  assert.equal(dialled.ok, true, JSON.stringify(dialled))
  assert.equal(dialled.peer_id, listener.peer_id)
  const [ours] = await Promise.all([dialler.next('connected'), listener.next('connected')])
  for (const peer of [dialler, listener]) {
    peer.command(`echo 3 ${1 << 20} ${echo_protocol}`)
    const echoed = await peer.next('echoed', 60_000)
    assert.deepEqual([echoed.ok, echoed.broken], [true, 0], JSON.stringify(echoed))
  }
  dialler.command('ping')
  assert.equal((await dialler.next('pinged')).ok, true)
  return ours.address
}

describe('our listener', () => {
  let ours
  before(async () => { ours = await start_ours() })
  after(() => stop(ours))

  for (const carrier of ['', '/ws', '/tls/ws']) {
    for (const [name, start_dialler] of [['js', start_js], ['ours', start_ours]]) {
      test(`dialled by ${name} over TCP${carrier}`, async () => {
        const dialler = await start_dialler()
        assert.ok((await talk(dialler, ours, over(carrier, ours))).includes(carrier))
        await stop(dialler)
        await ours.next('disconnected')
      })
    }
  }

  test('a /tls/ws address with another PeerId is refused by its certificate', async () => {
    const dialler = await start_ours()
    const stranger = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
    dialler.command(`dial ${over('/tls/ws', ours).replace(ours.peer_id, stranger)}`)
    const dialled = await dialler.next('dialled')
    assert.equal(dialled.ok, false)
    assert.match(dialled.detail, /certificate/)
    await stop(dialler)
  })

  test('dialled by Chromium', { timeout: 120_000 }, async () => {
    const { outputFiles: [bundle] } = await build({
      entryPoints: [join(import.meta.dirname, 'clients/browser_peer.mjs')], bundle: true, format: 'iife',
      globalName: 'peer', platform: 'browser', target: 'es2022', write: false, logLevel: 'error'
    })
    // A page of a secure origin, as Web Crypto asks for, that may open a WebSocket without TLS, and to this host: only one
    // from here is all of that.
    const pages = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<!doctype html>'))
    await new Promise(resolve => pages.listen(0, '127.0.0.1', resolve))
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium', // Debian's
      args: ['--disable-gpu', '--disable-quic']
    })
    try {
      const page = await browser.newPage()
      await page.goto(`http://127.0.0.1:${pages.address().port}/`)
      await page.addScriptTag({ content: bundle.text })
      const result = await page.evaluate(([address, protocol]) => globalThis.peer.talk(address, protocol, 300_000),
        [over('/ws', ours), echo_protocol])
      assert.equal(result.remote, ours.peer_id)
      assert.equal(result.echoed, true)
      assert.ok(result.rtt_ms >= 0)
      assert.match(result.agent, /^dignet\//)
      assert.match((await ours.next('connected')).address, /\/ws$/)
    } finally {
      await browser.close()
      pages.close()
    }
  })
})

test("a js-libp2p WebSocket listener, dialled by ours", async () => {
  const [dialler, listener] = await Promise.all([start_ours(), start_js('websocket')])
  assert.match(listener.address, /\/ws\/p2p\//)
  await talk(dialler, listener, listener.address)
  await stop(dialler, listener)
})

after(() => {
  ChildPeer.kill_all()
  rmSync(scratch, { recursive: true, force: true })
})
