// SPDX-License-Identifier: Apache-2.0
// The foreign end of the interop tests: js-libp2p under the commands of peer.cpp, and those of bench/js_pair.mjs.
//   node peer.mjs KEY [relay | websocket | at ADDRESS | on ADDRESS]      commands of peer.cpp | send BYTES | cpu | verified
import { createHash, randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { make_js_node, send } from './js_node.mjs'

const sink_protocol = '/dignet/sink/1.0.0'
const piece_size = 256 * 1024
const many_streams = { maxInboundStreams: 1000, maxOutboundStreams: 1000, runOnLimitedConnection: true }

function tell (event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

// Runs one command and tells how it ended.
async function report (event, work) {
  try {
    tell(event, { ok: true, ...await work() })
  } catch (error) {
    tell(event, { ok: false, error: error.name, detail: String(error.message) })
  }
}

const { node, peer_id } = await make_js_node(...process.argv.slice(2))
let connection // the latest

async function echo (stream) {
  try {
    for await (const piece of stream) await send(stream, piece)
    await stream.close()
  } catch (error) {
    stream.abort(error)
    tell('echo_broken', { detail: String(error.message) })
  }
}

// Sends `bytes` random bytes on a stream and compares what comes back by its SHA-256.
async function ask_echo (bytes, protocol) {
  const stream = await connection.newStream(protocol, many_streams)
  const sent = createHash('sha256')
  const received = createHash('sha256')
  let length = 0
  const write = async () => {
    for (let left = bytes; left > 0; left -= piece_size) {
      const piece = randomBytes(Math.min(piece_size, left))
      sent.update(piece)
      await send(stream, piece)
    }
    await stream.close()
  }
  const read = async () => {
    for await (const piece of stream) {
      length += piece.byteLength
      received.update(piece.subarray())
    }
  }
  await Promise.all([write(), read()])
  if (length !== bytes) throw new Error(`the echo has ${length} bytes`)
  if (sent.digest('hex') !== received.digest('hex')) throw new Error('other bytes came back')
}

async function run_echo (streams, bytes, protocol) {
  const started = performance.now()
  const results = await Promise.allSettled(Array.from({ length: streams }, () => ask_echo(bytes, protocol)))
  const broken = results.filter(result => result.status === 'rejected')
  const seconds = (performance.now() - started) / 1000
  tell('echoed', {
    ok: broken.length === 0, streams, bytes, broken: broken.length, seconds, error: String(broken[0]?.reason ?? '')
  })
}

// For the benchmark: raw bytes one way; the answer of one byte says that all have arrived.
async function sink (stream) {
  for await (const piece of stream) void piece
  stream.send(new Uint8Array(1))
  await stream.close()
}

async function send_raw (bytes) {
  const piece = randomBytes(piece_size)
  const stream = await connection.newStream(sink_protocol)
  const started = performance.now()
  for (let left = bytes; left > 0; left -= piece_size) await send(stream, piece.subarray(0, Math.min(piece_size, left)))
  await stream.close()
  for await (const answer of stream) void answer
  return { seconds: (performance.now() - started) / 1000 }
}

let cpu_before = process.cpuUsage()
function tell_cpu () {
  const used = process.cpuUsage(cpu_before)
  cpu_before = process.cpuUsage()
  tell('cpu', { seconds: (used.user + used.system) / 1e6 })
}

async function dial (address) {
  const started = performance.now()
  const dialled = await node.dial(multiaddr(address))
  return { peer_id: dialled.remotePeer.toString(), connect_ms: performance.now() - started }
}

// What AutoNAT has found out about the addresses of this node, those that are proven and those that are not yet.
function tell_verified () {
  const proven = node.getMultiaddrs().map(String)
  const asked = [...node.services.autonat.client.dialResults.values()].map(({ multiaddr, success, failure }) => ({
    address: String(multiaddr), success, failure
  }))
  tell('verified', { proven, asked })
}

const commands = {
  dial: address => report('dialled', () => dial(address)),
  ping: () => report('pinged', async () => ({ rtt_ms: await node.services.ping.ping(connection.remotePeer) })),
  handle: protocol => node.handle(protocol, echo, many_streams),
  echo: (streams, bytes, protocol) => run_echo(Number(streams), Number(bytes), protocol),
  send: bytes => report('sent', () => send_raw(Number(bytes))),
  cpu: tell_cpu,
  verified: tell_verified,
  close: () => connection.close(),
  quit: async () => { await node.stop(); process.exit(0) }
}

node.addEventListener('connection:open', ({ detail }) => {
  connection = detail
  tell('connected', {
    peer_id: detail.remotePeer.toString(), address: detail.remoteAddr.toString(), inbound: detail.direction === 'inbound'
  })
})
node.addEventListener('connection:close', ({ detail }) => {
  tell('disconnected', { peer_id: detail.remotePeer.toString() })
})
node.addEventListener('peer:identify', ({ detail }) => {
  tell('identified', {
    peer_id: detail.peerId.toString(),
    agent: detail.agentVersion,
    addresses: detail.listenAddrs.map(String),
    protocols: detail.protocols,
    observed: String(detail.observedAddr)
  })
})
// Relayed addresses come and go.
node.addEventListener('self:peer:update', () => {
  tell('addresses', { addresses: node.getMultiaddrs().map(String) })
})
await node.handle(sink_protocol, sink)
tell('ready', {
  peer_id, addresses: node.getMultiaddrs().map(address => String(address).replace(/[^/]+$/, peer_id))
})

const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  const [name, ...words] = line.split(' ')
  commands[name]?.(...words)
})
lines.on('close', commands.quit)
