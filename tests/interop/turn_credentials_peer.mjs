// SPDX-License-Identifier: Apache-2.0
// A js-libp2p peer that asks for TURN credentials on /dignet/turn-credentials/1.0.0; the messages are written by hand.
//   node turn_credentials_peer.mjs      commands: ask ADDRESS-OF-THE-RELAY TARGET-PEER-ID | garbage ADDRESS-OF-THE-RELAY | quit
import { createInterface } from 'node:readline'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { make_js_node } from './js_node.mjs'

const protocol = '/dignet/turn-credentials/1.0.0'
const statuses = ['ok', 'refused', 'busy', 'not_offered', 'malformed']

function tell (event, fields) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
}

// Unsigned LEB128 numbers as protobuf and the length in front of each message have them.
function read_number (bytes, at) {
  for (let value = 0, shift = 0; ; shift += 7) {
    const byte = bytes[at++]
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return [value, at]
  }
}

function read_response (bytes) {
  let [length, at] = read_number(bytes, 0)
  if (at + length !== bytes.length) throw new Error(`${bytes.length} bytes for a message of ${length}`)
  const answer = { status: 'ok', servers: [] }
  while (at < bytes.length) {
    let tag, value
    [tag, at] = read_number(bytes, at)
    ;[value, at] = read_number(bytes, at)
    if ((tag & 7) === 2) {
      const text = Buffer.from(bytes.subarray(at, at + value)).toString()
      at += value
      if (tag >> 3 === 3) answer.username = text
      if (tag >> 3 === 4) answer.password = text
      if (tag >> 3 === 6) answer.servers.push(text)
    } else {
      if (tag >> 3 === 1) answer.status = statuses[value]
      if (tag >> 3 === 2) answer.kind = { 1: 'pair', 2: 'open' }[value]
      if (tag >> 3 === 5) answer.expires_in = value
    }
  }
  return answer
}

async function exchange (relay, request) {
  const connection = await node.dial(multiaddr(relay))
  const stream = await connection.newStream(protocol)
  stream.send(Uint8Array.from([request.length, ...request]))
  await stream.close()
  const pieces = []
  for await (const piece of stream) pieces.push(piece.subarray())
  return read_response(Buffer.concat(pieces))
}

async function ask (relay, request) {
  try {
    tell('answered', await exchange(relay, request))
  } catch (error) {
    tell('answered', { status: 'failed', error: error.name, detail: String(error.message) })
  }
}

const { node, peer_id } = await make_js_node()
tell('ready', { peer_id })

const commands = {
  ask: (relay, target) => {
    const id = peerIdFromString(target).toMultihash().bytes
    return ask(relay, [0x0a, id.length, ...id])
  },
  garbage: relay => ask(relay, [0xff, 0xff, 0xff]),
  quit: async () => { await node.stop(); process.exit(0) }
}
const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  const [name, ...words] = line.split(' ')
  commands[name]?.(...words)
})
lines.on('close', commands.quit)
