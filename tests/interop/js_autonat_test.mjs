// SPDX-License-Identifier: Apache-2.0
// AutoNAT v2 with js-libp2p, each as the client of the other. js-libp2p asks about and dials back to addresses of the
// Internet only, so both ends get some, in two network namespaces that nothing leads out of.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { ChildPeer } from './child_peer.mjs'

if (!process.env.DIGNET_TEST_NAMESPACE) {
  const { status } = spawnSync('unshare', ['--map-root-user', '--net', '--mount', process.execPath, import.meta.filename],
    { stdio: 'inherit', env: { ...process.env, DIGNET_TEST_NAMESPACE: '1' } })
  process.exit(status ?? 1)
}

const ours_at = '8.8.4.4'
const ours_too = '8.8.4.5'
const theirs_at = '9.9.9.9'
const theirs_too = '9.9.9.10'
const tcp = (address, port = 4001) => `/ip4/${address}/tcp/${port}`
const run = (command, ...words) => execFileSync(command, words, { stdio: ['pipe', 'inherit', 'inherit'] })
const in_theirs = ['ip', 'netns', 'exec', 'theirs']
const scratch = mkdtempSync(join(tmpdir(), 'dignet-autonat-'))
let homes = 0

before(() => {
  run('mount', '-t', 'tmpfs', 'tmpfs', '/run') // `ip netns` keeps its names there
  run('ip', 'netns', 'add', 'theirs')
  run('ip', 'link', 'add', 'here', 'type', 'veth', 'peer', 'name', 'there', 'netns', 'theirs')
  for (const [where, device, addresses, other] of [[[], 'here', [ours_at, ours_too], '9.9.9.0/24'],
    [['-n', 'theirs'], 'there', [theirs_at, theirs_too], '8.8.4.0/24']]) {
    for (const address of addresses) run('ip', ...where, 'address', 'add', `${address}/24`, 'dev', device)
    for (const name of ['lo', device]) run('ip', ...where, 'link', 'set', name, 'up')
    run('ip', ...where, 'route', 'add', other, 'dev', device, 'src', addresses[0])
  }
})
after(() => {
  ChildPeer.kill_all()
  rmSync(scratch, { recursive: true, force: true })
})

// A firewall that lets nobody begin.
const closed = `table inet filter {
  chain input {
    type filter hook input priority filter; policy accept;
    tcp dport 4001 tcp flags & (syn | ack) == syn reject with tcp reset
  }
}
`
function close_door (where = []) {
  execFileSync([...where, 'nft'][0], [...where, 'nft', '-f', '-'].slice(1), { input: closed })
}
afterEach(() => {
  for (const where of [[], in_theirs]) {
    execFileSync([...where, 'nft'][0], [...where, 'nft', 'flush', 'ruleset'].slice(1))
  }
})

const start_ours = (...role) =>
  ChildPeer.start('ours', join(process.env.DIGNET_BIN_DIR, 'interop_peer'), [join(scratch, `home-${homes++}`), ...role])
const start_js = address => ChildPeer.start('js', 'ip',
  [...in_theirs.slice(1), process.execPath, join(import.meta.dirname, 'peer.mjs'), 'ed25519', 'on', address])

async function connect (from, to, address) {
  from.command(`dial ${address}/p2p/${to.peer_id}`)
  const dialled = await from.next('dialled')
  assert.equal(dialled.ok, true, JSON.stringify(dialled))
}

async function stop (...peers) {
  for (const peer of peers) peer.command('quit')
  for (const peer of peers) assert.equal((await peer.ended).code, 0, peer.name)
}

test('ours asks js: reachable', async () => {
  const [js, ours] = await Promise.all([start_js(tcp(theirs_at)), start_ours('on', tcp(ours_at))])
  await connect(ours, js, tcp(theirs_at))
  assert.deepEqual(await ours.next('reachability'), {
    event: 'reachability', family: 'ipv4', verdict: 'reachable', addresses: [tcp(ours_at)], servers: 1, stranger: false
  })
  await stop(ours, js)
})

test('ours asks js: unreachable', async () => {
  close_door()
  const [js, ours] = await Promise.all([start_js(tcp(theirs_at)), start_ours('on', tcp(ours_at))])
  await connect(ours, js, tcp(theirs_at))
  assert.deepEqual(await ours.next('reachability'), {
    event: 'reachability', family: 'ipv4', verdict: 'unreachable', addresses: [], servers: 1, stranger: false
  })
  await stop(ours, js)
})

// js sees only one of the two addresses, and wants dial data before it dials the other.
test('ours asks js and pays with dial data', async () => {
  const [js, ours] = await Promise.all([start_js(tcp(theirs_at)), start_ours('on', '/ip4/0.0.0.0/tcp/4001')])
  await connect(ours, js, tcp(theirs_at))
  for (const proven of [[tcp(ours_at)], [tcp(ours_at), tcp(ours_too)]]) {
    const told = await ours.next('reachability')
    assert.equal(told.verdict, 'reachable')
    assert.deepEqual(told.addresses.filter(address => !address.includes('127.0.0.1')).sort(), proven)
  }
  await stop(ours, js)
})

// What js takes for proven is among its addresses then.
for (const [name, address] of [['', theirs_at], [' and pays with dial data', theirs_too]]) {
  test(`js asks ours${name}: reachable`, async () => {
    const [js, ours] = await Promise.all([start_js(tcp(address)), start_ours('public', tcp(ours_at))])
    await connect(js, ours, tcp(ours_at))
    for (;;) {
      const { addresses } = await js.next('addresses')
      if (addresses.some(own => own.startsWith(tcp(address)))) break
    }
    await stop(ours, js)
  })
}

test('js asks ours: unreachable', async () => {
  close_door(in_theirs)
  const [js, ours] = await Promise.all([start_js(tcp(theirs_at)), start_ours('public', tcp(ours_at))])
  await connect(js, ours, tcp(ours_at))
  // js tells nothing of its failures: ask until it has counted one.
  for (let failures = 0; failures === 0;) {
    js.command('verified')
    const { proven, asked } = await js.next('verified')
    assert.deepEqual(proven, [])
    failures = asked.find(one => one.address === tcp(theirs_at))?.failure ?? 0
    assert.equal(asked.every(one => one.success === 0), true)
    js.command('ping')
    await js.next('pinged')
  }
  await stop(ours, js)
})
