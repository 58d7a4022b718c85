// SPDX-License-Identifier: Apache-2.0
// A js-libp2p node with TCP, WebSocket, Noise, yamux, identify, ping, circuit relay v2 and AutoNAT v2, for the interop
// tests and the benchmarks.
import { generateKeyPairSync, sign } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import { peerIdFromMultihash, peerIdFromPrivateKey } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createLibp2p } from 'libp2p'
import { sha256 } from 'multiformats/hashes/sha2'

const key_makers = {
  ed25519: () => generateKeyPair('Ed25519'),
  secp256k1: () => generateKeyPair('secp256k1'),
  ecdsa: make_ecdsa_key,
  rsa: () => generateKeyPair('RSA', 2048)
}

// js-libp2p has no PeerIds of ECDSA keys, and writes these keys and signatures in forms of its own. The libp2p
// peer-ids specification wants PKIX for the key and DER for the signature; Noise and identify take any such key object.
// A node with it has an Ed25519 identity inside and the ECDSA one on the wire.
function make_ecdsa_key () {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    type: 'ECDSA',
    publicKey: { type: 'ECDSA', raw: publicKey.export({ type: 'spki', format: 'der' }) },
    sign: message => sign('sha256', message.subarray(), privateKey)
  }
}

async function make_identity (kind) {
  const wire_key = await key_makers[kind]()
  if (kind !== 'ecdsa') return { key: wire_key, wire_key, peer_id: peerIdFromPrivateKey(wire_key) }
  // Public keys above 42 bytes are named by their SHA-256 (libp2p peer-ids specification).
  const peer_id = peerIdFromMultihash(await sha256.digest(publicKeyToProtobuf(wire_key.publicKey)))
  return { key: await key_makers.ed25519(), wire_key, peer_id }
}

// Returns the node and the PeerId that others know it by. `role` is 'relay', 'websocket' to listen for WebSockets alone,
// 'at' with the address of a relay to be reached through, or 'on' with the address to listen on, to be found out about by
// AutoNAT v2.
export async function make_js_node (kind = 'ed25519', role = undefined, address = undefined) {
  const { key, wire_key, peer_id } = await make_identity(kind)
  const with_wire_key = make => components => make(new Proxy(components, {
    get: (target, name) => name === 'privateKey' ? wire_key : target[name]
  }))
  const listen = [role === 'on' ? address : `/ip4/127.0.0.1/tcp/0${role === 'websocket' ? '/ws' : ''}`,
    ...role === 'at' ? [`${address}/p2p-circuit`] : []]
  const node = await createLibp2p({
    privateKey: key,
    addresses: { listen },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionEncrypters: [with_wire_key(noise())],
    streamMuxers: [yamux()],
    services: {
      identify: with_wire_key(identify()),
      identifyPush: with_wire_key(identifyPush()),
      ping: ping({ runOnLimitedConnection: true }),
      ...role === 'relay' ? { relay: circuitRelayServer() } : {},
      ...role === 'on' ? { autonat: autoNATv2() } : {}
    },
    // By itself js-libp2p takes 5 connections a second from one host and hides private addresses from dialling.
    connectionManager: { inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 100 },
    connectionGater: { denyDialMultiaddr: () => false }
  })
  return { node, peer_id: peer_id.toString() }
}

// Sends one piece and waits while the stream says that it is full.
export async function send (stream, piece) {
  if (!stream.send(piece)) await stream.onDrain()
}
