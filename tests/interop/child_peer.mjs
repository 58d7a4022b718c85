// SPDX-License-Identifier: Apache-2.0
// A peer in a process of its own: takes commands as lines, tells events as JSON lines. Events are kept until asked for,
// so none is missed however late somebody waits for it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export class ChildPeer {
  static running = new Set()

  // For the end of a test that has failed: whoever still runs would keep it from ending.
  static kill_all () {
    for (const child of ChildPeer.running) child.kill('SIGKILL')
  }

  static async start (name, command, args) {
    const peer = new ChildPeer(name, spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
    const ready = await peer.next('ready')
    peer.peer_id = ready.peer_id
    peer.address = ready.addresses[0]
    return peer
  }

  constructor (name, child) {
    this.name = name
    this.child = child
    this.events = []
    this.waiting = []
    ChildPeer.running.add(child)
    this.ended = new Promise(resolve => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', error => resolve({ error }))
    }).finally(() => ChildPeer.running.delete(child))
    child.stdin.on('error', () => {}) // the end of the process is told by `ended`
    createInterface({ input: child.stdout }).on('line', line => {
      this.events.push(JSON.parse(line))
      for (const look of this.waiting) look()
    })
  }

  command (line) {
    this.child.stdin.write(line + '\n')
  }

  // Events of a kind that nobody has taken yet.
  seen (kind) {
    return this.events.filter(event => event.event === kind)
  }

  // Takes the next event of a kind; an error if the process ends or the time is over before.
  async next (kind, timeout_ms = 30_000) {
    let timer, look
    const told = new Promise((resolve, reject) => {
      look = () => {
        const at = this.events.findIndex(event => event.event === kind)
        if (at >= 0) resolve(this.events.splice(at, 1)[0])
      }
      timer = setTimeout(() => reject(new Error(`${this.name}: no "${kind}" within ${timeout_ms} ms; there is: ` +
        JSON.stringify(this.events).slice(0, 1000))), timeout_ms)
      this.ended.then(how => reject(new Error(`${this.name} ended before "${kind}": ${JSON.stringify(how)}`)))
      this.waiting.push(look)
      look()
    })
    try {
      return await told
    } finally {
      clearTimeout(timer)
      this.waiting.splice(this.waiting.indexOf(look), 1)
    }
  }

  // Asks it to end, and kills it if it does not. Ending in any other way than asked is an error.
  async stop () {
    if (this.child.stdin.writable) this.child.stdin.end('quit\n')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    const how = await this.ended
    clearTimeout(timer)
    if (how.code !== 0) throw new Error(`${this.name} ended badly: ${JSON.stringify(how)}`)
  }
}
