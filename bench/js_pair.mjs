// SPDX-License-Identifier: Apache-2.0
// What js-libp2p does on this machine: two processes on loopback with TCP, Noise and yamux move raw bytes over one
// stream, and connect. With the folder of our interop_peer, a pair of ours connects too, by turns with theirs.
//   node bench/js_pair.mjs [MIB [FOLDER]]        prints one line of JSON, medians over the runs
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChildPeer } from '../tests/interop/child_peer.mjs'

const transfer_bytes = Number(process.argv[2] ?? 256) * 1024 * 1024
const ours_folder = process.argv[3]
const transfer_runs = 3
const connect_runs = 21
const peers = join(import.meta.dirname, '../tests/interop')

const start_js = name => ChildPeer.start(name, process.execPath, [join(peers, 'peer.mjs'), 'ed25519'])

function median (values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
}

// Both ends' CPU seconds since they were asked last.
async function cpu_seconds (pair) {
  let sum = 0
  for (const peer of pair) {
    peer.command('cpu')
    sum += (await peer.next('cpu')).seconds
  }
  return sum
}

async function connect ([dialler, listener]) {
  dialler.command(`dial ${listener.address}`)
  const dialled = await dialler.next('dialled')
  if (!dialled.ok) throw new Error(JSON.stringify(dialled))
  await Promise.all([dialler.next('identified'), listener.next('identified')])
  return dialled.connect_ms
}

async function hang_up ([dialler, listener]) {
  dialler.command('close')
  await Promise.all([dialler.next('disconnected'), listener.next('disconnected')])
}

async function measure_transfers (pair) {
  const rates = []
  const costs = []
  for (let run = 0; run <= transfer_runs; run++) {
    await connect(pair)
    await cpu_seconds(pair)
    pair[0].command(`send ${transfer_bytes}`)
    const sent = await pair[0].next('sent', 120_000)
    if (!sent.ok) throw new Error(JSON.stringify(sent))
    const cpu = await cpu_seconds(pair)
    await hang_up(pair)
    if (run === 0) continue // warms the compilers up
    rates.push(transfer_bytes / 1e6 / sent.seconds)
    costs.push(cpu / (transfer_bytes / 1e9))
  }
  return { mb_per_s: median(rates), cpu_s_per_gb: median(costs) }
}

// Dial to a usable connection, as the dialling program sees it; the pairs take turns.
async function measure_connects (pairs) {
  const times = pairs.map(() => [])
  for (let run = -5; run < connect_runs; run++) {
    for (const [index, pair] of pairs.entries()) {
      const ms = await connect(pair)
      await hang_up(pair)
      if (run >= 0) times[index].push(ms)
    }
  }
  return times.map(median)
}

const scratch = mkdtempSync(join(tmpdir(), 'dignet-bench-'))
const js = await Promise.all([start_js('js dialler'), start_js('js listener')])
const all = [js]
if (ours_folder) {
  const start_ours = home => ChildPeer.start(`our ${home}`, join(ours_folder, 'interop_peer'), [join(scratch, home)])
  all.push(await Promise.all([start_ours('dialler'), start_ours('listener')]))
}
try {
  const transfers = await measure_transfers(js)
  const [connect_ms, ours_connect_ms] = await measure_connects(all)
  console.log(JSON.stringify({ peer: 'js-libp2p', bytes: transfer_bytes, connect_ms, ...transfers, ours_connect_ms }))
} finally {
  await Promise.all(all.flat().map(peer => peer.stop()))
  rmSync(scratch, { recursive: true, force: true })
}
