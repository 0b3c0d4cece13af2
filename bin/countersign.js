#!/usr/bin/env node
// The executable. Runs on any Node: an older one starts the packaged Node 24 in its place, or says what to install.
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { entryOf } from './entry.js';
import { heapFlags } from './heap-limit.js';

// Node would open its debugger to every user of this machine. A listener of ours takes the place of that.
process.on('SIGUSR1', () => {});

const MAJOR_MIN = 24;
/** The commands that run for long. */
const ROLES = ['dev', 'server', 'agent', 'gateway'];
/** Set by a launcher for what it starts: its process ID. */
const LAUNCHER = 'COUNTERSIGN_LAUNCHER';
const here = dirname(realpathSync(fileURLToPath(import.meta.url)));

endWithLauncher();
const flags = flagsOfRole();
if (Number(process.versions.node.split('.')[0]) >= MAJOR_MIN) {
  if (flags.length > 0) beginAnew(flags);
  await import(pathToFileURL(entryOf(join(here, '..'))).href);
} else {
  const node = packagedNode();
  if (node === undefined) {
    complain(
      'UNAVAILABLE',
      `countersign needs Node ${MAJOR_MIN} or later; this is ${process.versions.node}, and no packaged Node was found.\n` +
        `Install Node ${MAJOR_MIN}, or run: npm install node-linux-${process.arch}@${MAJOR_MIN}`,
    );
    process.exitCode = 69;
  } else {
    const { spawn } = await import('node:child_process'); // A tenth of what a short command takes, and few need it.
    const child = spawn(node, [...flags, ...process.argv.slice(1)], {
      // A channel that the kernel closes when this process ends, however it does.
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [LAUNCHER]: String(process.pid) },
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', (error) => {
      complain('UNAVAILABLE', `countersign could not start ${node}: ${error.message}`);
      process.exitCode = 69;
    });
    child.on('exit', (code, signal) => {
      if (signal) process.kill(process.pid, signal);
      else process.exitCode = code ?? 70;
    });
  }
}

/**
 * What a role's heap may take, and that it may collect its garbage when it has time; a command that is over in a moment needs neither. The
 * space of young objects follows the limit otherwise: 128 MiB of memory that is given back to nobody, after the first busy minutes.
 */
function flagsOfRole() {
  if (!ROLES.includes(process.argv[2])) return [];
  try {
    const limit = heapFlags(process);
    return limit.length === 0 ? limit : [...limit, '--max-semi-space-size=16', '--expose-gc'];
  } catch (error) {
    complain('ERR_APP_CONFIG', `countersign: ${error.message}`);
    process.exit(78);
  }
}

/** Says what is wrong as all commands do: in words, or as one line of JSON. */
function complain(code, message) {
  const asJson = process.argv.slice(2).includes('--json');
  process.stderr.write(`${asJson ? JSON.stringify({ error: { code, message } }) : message}\n`);
}

/** The limit of a heap holds from its beginning on: this process becomes one that has it, with its number, files and parent kept. */
function beginAnew(flags) {
  if (process.execve === undefined || process.channel !== undefined) return;
  const { execPath, execArgv, env } = process;
  process.execve(
    execPath,
    // By the name that it was started by: that may lead to another release when it starts a successor.
    [execPath, ...flags, ...execArgv, ...process.argv.slice(1)],
    env,
  );
}

/** What an older Node has started ends when that one is gone: nobody would stop it, and it would serve on beside the next. */
function endWithLauncher() {
  const launcher = process.env[LAUNCHER];
  delete process.env[LAUNCHER]; // Programs that this one starts have another parent.
  if (process.channel === undefined || launcher === undefined) return;
  const end = () => process.kill(process.pid, 'SIGTERM');
  if (!process.connected || Number(launcher) !== process.ppid) return end();
  process.once('disconnect', end);
  process.channel.unref(); // Whoever has nothing more to do ends by itself.
}

/** The Node binary that the platform package brought, if it is installed. */
function packagedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const path = join(dirname(manifest), 'bin/node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined; // The optional package is not installed here.
  }
}
