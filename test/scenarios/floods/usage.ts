/** What a role's process holds. */
import * as fs from 'node:fs';

/** Memory in MiB. */
export interface Usage {
  readonly sockets: number;
  readonly rss: number;
  readonly heap: number;
}

/** Sockets and resident memory, as the kernel tells them. Files come and go with what a role records. */
export function usageOf(pid: number): Omit<Usage, 'heap'> {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return {
    sockets: fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(pid, fd)).length,
    rss: Math.round(Number(kilobytes) / 1024),
  };
}

/** The heap in use, as the role's own metrics tell it; undefined when it does not answer in time. */
export async function heapOf(http: string): Promise<number | undefined> {
  try {
    const response = await fetch(`http://${http}/metrics`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(5000),
    });
    const bytes = /^countersign_heap_bytes (\S+)$/m.exec(await response.text())?.[1];
    return bytes === undefined ? undefined : Math.round(Number(bytes) / 2 ** 20);
  } catch {
    return undefined;
  }
}

/** How many connections over TCP this machine's kernel has put off because too many waited to be taken up. */
export function connectionsPutOff(): number {
  const [names = '', values = ''] = fs.readFileSync('/proc/net/netstat', 'latin1').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('ListenOverflows')]);
}

function isSocket(pid: number, fd: string): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
  } catch {
    return false; // Closed since it was listed.
  }
}
