// SPDX-License-Identifier: Apache-2.0
// A js-libp2p node in a web page: dials one address, is told who is there, pings, and has its bytes echoed.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

async function echo (connection, protocol, size) {
  const stream = await connection.newStream(protocol)
  const sent = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)))
  let received = 0
  let is_same = true
  const reading = (async () => {
    for await (const piece of stream) {
      for (const byte of piece.subarray()) is_same &&= byte === sent[received++ % sent.length]
    }
  })()
  for (let left = size; left > 0; left -= sent.length) {
    if (!stream.send(sent.subarray(0, Math.min(left, sent.length)))) await stream.onDrain()
  }
  await stream.close()
  await reading
  return is_same && received === size
}

export async function talk (address, protocol, size) {
  const node = await createLibp2p({
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
    // By itself js-libp2p dials no private addresses from a browser, nor WebSockets without TLS.
    connectionGater: { denyDialMultiaddr: () => false }
  })
  const identified = new Promise(resolve => node.addEventListener('peer:identify', ({ detail }) => resolve(detail)))
  try {
    const connection = await node.dial(multiaddr(address))
    return {
      remote: connection.remotePeer.toString(),
      rtt_ms: await node.services.ping.ping(connection.remotePeer),
      echoed: await echo(connection, protocol, size),
      agent: (await identified).agentVersion
    }
  } finally {
    await node.stop()
  }
}
