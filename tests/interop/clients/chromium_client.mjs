// SPDX-License-Identifier: Apache-2.0
// Chromium as a TURN client: a page that gathers candidates and moves data between two RTCPeerConnections.
// usage: chromium_client.mjs REQUESTS: a JSON array of {"do": "gather" | "transfer", "configuration": RTCConfiguration}.
// Prints the JSON array of their results.
import { chromium } from 'playwright-core'

const LIMIT = 30_000 // milliseconds; only a broken server gets there

// What follows runs in the page.

async function gather(configuration) {
  const connection = new RTCPeerConnection(configuration)
  const candidates = []
  const errors = []
  connection.createDataChannel('for a media section')
  const done = new Promise((resolve) => {
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null) return resolve()
      const { type, protocol, address, relayProtocol, url } = candidate
      if (address) candidates.push({ type, protocol, address, relayProtocol, url })
    }
  })
  connection.onicecandidateerror = ({ errorCode, url }) => errors.push({ errorCode, url })
  await connection.setLocalDescription()
  await done
  connection.close()
  return { candidates, errors }
}

async function transfer(configuration) {
  const MEBIBYTE = 1 << 20
  const PIECE = 1 << 14
  const digest = async (bytes) => {
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  const pair = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)]
  const [sender, receiver] = pair
  sender.onicecandidate = ({ candidate }) => receiver.addIceCandidate(candidate)
  receiver.onicecandidate = ({ candidate }) => sender.addIceCandidate(candidate)

  const sent = new Uint8Array(MEBIBYTE)
  for (let at = 0; at < MEBIBYTE; at += PIECE) crypto.getRandomValues(sent.subarray(at, at + PIECE))
  const channel = sender.createDataChannel('data')
  channel.onopen = () => {
    for (let at = 0; at < MEBIBYTE; at += PIECE) channel.send(sent.subarray(at, at + PIECE))
  }
  const received = new Promise((resolve) => {
    receiver.ondatachannel = ({ channel }) => {
      const bytes = new Uint8Array(MEBIBYTE)
      let count = 0
      channel.binaryType = 'arraybuffer'
      channel.onmessage = ({ data }) => {
        bytes.set(new Uint8Array(data), count)
        count += data.byteLength
        if (count === MEBIBYTE) resolve(bytes)
      }
    }
  })
  await sender.setLocalDescription()
  await receiver.setRemoteDescription(sender.localDescription)
  await receiver.setLocalDescription()
  await sender.setRemoteDescription(receiver.localDescription)

  const result = { received: await digest(await received), sent: await digest(sent), ends: [] }
  for (const connection of pair) {
    const stats = await connection.getStats()
    const [transport] = [...stats.values()].filter(({ type }) => type === 'transport')
    const selected = stats.get(transport.selectedCandidatePairId)
    const { candidateType, relayProtocol, address } = stats.get(selected.localCandidateId)
    result.ends.push({ candidateType, relayProtocol, address, remote: stats.get(selected.remoteCandidateId).candidateType })
    connection.close()
  }
  return result
}

// What follows runs here.

const requests = JSON.parse(process.argv[2])
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium', // Debian's
  args: ['--disable-gpu', '--disable-quic'],
})
try {
  const page = await browser.newPage()
  // A page of a secure origin, as Web Crypto asks for. Who may use the camera sees its own addresses instead of mDNS names.
  await page.route('**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }))
  await page.goto('https://page.example/')
  await page.context().grantPermissions(['camera', 'microphone'])
  const results = []
  for (const request of requests) {
    const work = page.evaluate({ gather, transfer }[request.do], request.configuration)
    const late = new Promise((_, reject) => setTimeout(reject, LIMIT, new Error('late: ' + JSON.stringify(request))).unref())
    results.push(await Promise.race([work, late]))
  }
  console.log(JSON.stringify(results))
} finally {
  await browser.close()
}
