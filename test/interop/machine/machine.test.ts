/**
 * A newcomer's machine: nothing but systemd, PostgreSQL, an older Node and the package. The first guide is followed on it by the letter, its
 * units and all, what the other test of it leaves out too; then it has what a machine's days bring.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Block, ROOT, readDocument } from '../../docs/markdown.ts';
import { expectPrinted } from '../../docs/printed.ts';
import { eventually } from '../../support/eventually.ts';
import { installPackage } from '../installed-package.ts';
import { commandIn, mayLack } from '../toolchain.ts';
import { lackForMachine, type Machine, startMachine } from './machine.ts';

const npm = commandIn([], 'npm');
const ROLES = ['server', 'agent', 'gateway'] as const;

describe.skipIf(mayLack(npm) || lackForMachine() !== undefined)('on a machine with systemd', () => {
  const shared = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-newcomer-'));
  let machine: Machine;
  let printed = '';

  beforeAll(async () => {
    await installPackage(npm ?? '', shared);
    fs.cpSync(path.join(ROOT, 'examples'), path.join(shared, 'examples'), { recursive: true });
    fs.chmodSync(shared, 0o755);
    machine = await startMachine(shared);
    await machine.sure(PREPARED);
  });
  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    fs.rmSync(shared, { recursive: true, force: true });
  });

  describe('the first guide, by the letter', () => {
    const { blocks } = readDocument('docs/guide/first-target.md');
    const units = blocks.filter(({ language }) => language === 'ini');
    it.each(
      blocks.map((block) => [`${block.file}:${block.line} (${block.language} ${block.info})`, block] as const),
    )('%s', async (_, block) => {
      if (block.language === 'text') return block.info === 'output' ? expectPrinted(printed, block) : undefined;
      if (block.language === 'ini') return void (await writeUnits(units.indexOf(block), block.text));
      if (block.language === 'yaml') return void (await write('/etc/countersign/countersign.yaml', block.text));
      if (block.language === 'sql') return void (await machine.sure(ADMINISTRATOR, asTyped(block)));
      const { code, stdout, stderr } = await machine.shell(`${IN_FOLDER}; ${asTyped(block)}`, PASSWORD);
      printed = `${stdout}\n${stderr}`;
      expect(code, printed).toBe(0);
      // What a reader does before the next block: with the files of the example, and with what was begun.
      await machine.sure(
        `${IN_FOLDER}; sed -i 's/host: db.example.org/host: 127.0.0.1/' countersign.d/target.yaml || true`,
      );
      for (const role of ROLES) if (block.text.includes(`--now countersign-${role}`)) await active(role);
      return undefined;
    });

    it('leaves three roles in the sandbox of their units', async () => {
      for (const role of ROLES) await active(role);
      const shown = await machine.sure(
        'systemctl show -p User,NoNewPrivileges,ProtectSystem,PrivateTmp,LimitCORE countersign-server countersign-gateway',
      );
      for (const line of [
        'User=countersign-server',
        'User=countersign-gateway',
        'ProtectSystem=strict',
        'PrivateTmp=yes',
      ])
        expect(shown).toContain(line);
      await machine.sure('countersign doctor');
    });
  });

  describe('afterwards', () => {
    it.each(ROLES)('systemctl restart of the %s, and a client is served', async (role) => {
      await machine.sure(`systemctl restart countersign-${role}`);
      await served();
    });

    it('a role that was killed is started again, and a client is served', async () => {
      for (const role of ROLES) {
        await machine.sure(`systemctl kill --signal=KILL countersign-${role}`);
        await served();
      }
    });

    it('systemctl reload of the agent cuts no session, and its main process is the one that serves', async () => {
      const [before, after, serves, ...names] = (await machine.sure(RELOADED)).trim().split('\n');
      expect(after).not.toBe(before);
      expect(after).toBe(serves);
      expect(names).toEqual(['Ada Lovelace', 'Ada Lovelace']);
      await machine.sure('systemctl kill --kill-who=main --signal=KILL countersign-agent');
      await served();
    });

    it('systemctl reload says no when the next agent can not serve, and the one before goes on', async () => {
      const config = '/etc/countersign/countersign.yaml';
      await machine.sure(`cp ${config} ~/kept.yaml; sed -i 's/^trustDomain: .*/trustDomain: other.org/' ${config}`);
      expect(await machine.shell('systemctl reload countersign-agent')).toMatchObject({ code: 1 });
      await machine.sure(`cp ~/kept.yaml ${config}; systemctl is-active countersign-agent`);
      await served();
    });

    it('the files of an SVID are kept by a service', async () => {
      await machine.sure('systemctl daemon-reload; systemctl start countersign-svid');
      await eventually(
        'they are there',
        async () => (await machine.shell('ls /run/shop-web/svid/svid.pem')).code === 0,
      );
    });

    it('the journal has each line that a role wrote, and no error, for none of that was one', async () => {
      const units = ROLES.map((role) => `-u countersign-${role}`).join(' ');
      const journal = await machine.sure(`journalctl --no-pager -o cat ${units}`);
      expect(journal).toContain('"event":"app.gateway.updated"');
      expect(journal.split('\n').filter((line) => /"level":"(error|fatal)"|canary-/.test(line))).toEqual([]);
    });
  });

  /** It runs, and can be asked: by the time that somebody has typed the next command. */
  async function active(role: (typeof ROLES)[number]): Promise<void> {
    await eventually(`${role} is active`, async () => {
      const { stdout } = await machine.shell(
        `systemctl is-active countersign-${role}; systemctl is-active countersign-server; ls /run/countersign/server/server.sock`,
      );
      return stdout.startsWith('active\nactive\n/run');
    });
  }

  async function served(): Promise<void> {
    await eventually('a client is served', async () => {
      const { stdout } = await machine.shell(CLIENT);
      return stdout.includes('Ada Lovelace');
    });
  }

  async function write(file: string, text: string): Promise<void> {
    await machine.sure(`mkdir -p ${path.dirname(file)}; cat > ${file}`, text);
  }

  /** The server's, from which the gateway's is made as the guide says; the agent's; and that of files. */
  async function writeUnits(index: number, text: string): Promise<void> {
    const unit = (name: string) => `/etc/systemd/system/countersign-${name}.service`;
    if (index === 0) {
      await write(unit('server'), text);
      const gateway = text.replaceAll('server', 'gateway').replace('[Service]\n', '[Service]\nLimitNOFILE=65536\n');
      await write(unit('gateway'), gateway);
    } else await write(unit(index === 1 ? 'agent' : 'svid'), text);
  }
});

/** As somebody types it at this machine: what comes from elsewhere is there already. */
function asTyped({ text, info }: Block): string {
  if (info.includes('changes the whole machine')) return text.replace(/^(git|npm|sudo npm).*\n/gm, '');
  return text.replace('CHANGE-ME', PASSWORD);
}

const PASSWORD = 'canary-typed-by-hand';
const IN_FOLDER = 'if [ -d ~/cs ]; then cd ~/cs; fi';
const CLIENT =
  "sudo -u shop-web psql 'host=/run/countersign/agent/targets/shop user=shop-web' -c 'select name from customers order by id'";
/** A session that asks before a reload and after it; the main process before and after it, and the one that serves. */
const RELOADED = `
main() { systemctl show -p MainPID --value countersign-agent; }
within() { for _ in $(seq 300); do if [ -e "$1" ]; then return 0; fi; sleep 0.1; done; return 1; }
folder=$(mktemp -d); chmod 777 $folder; mkfifo $folder/typed
ask() { printf '%s\\n' 'select name from customers where id = 1;' "\\! touch $folder/$1" >&3; within $folder/$1; }
sudo -u shop-web psql 'host=/run/countersign/agent/targets/shop user=shop-web' -X -A -t < $folder/typed > $folder/printed &
exec 3> $folder/typed
ask first
main
systemctl reload countersign-agent
main
cat /run/countersign/agent/agent.pid
ask second
exec 3>&-
wait
cat $folder/printed`;
const ADMINISTRATOR = 'setpriv --reuid postgres --regid postgres --clear-groups psql -X -v ON_ERROR_STOP=1 -d shop';
/** The package, a shell's sudo, and the database of the guide, whose administrator comes by its socket. */
const PREPARED = `
cp -a /mnt/prefix/. /usr/local/
mkdir -p /opt/countersign && cp -r /mnt/examples /opt/countersign/
cat > /usr/local/bin/sudo <<'SUDO'
#!/bin/bash
if [ "$1" = -u ]; then user=$2; shift 2; exec setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; fi
exec "$@"
SUDO
chmod 755 /usr/local/bin/sudo
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
install -d -o postgres /var/lib/guide /run/postgresql
cd /
sudo -u postgres $bin/initdb -D /var/lib/guide/data -U postgres --auth-local=peer --auth-host=scram-sha-256 --no-sync > /dev/null
systemd-run --quiet --unit=database -p User=postgres $bin/postgres -D /var/lib/guide/data -k /run/postgresql
for _ in $(seq 100); do sudo -u postgres $bin/pg_isready -q -h /run/postgresql && break; sleep 0.1; done
sudo -u postgres $bin/createdb -h /run/postgresql shop
`;
