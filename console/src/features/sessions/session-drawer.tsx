import { Link } from '@tanstack/react-router';
import { Badge, Button, Drawer, Facts, formatBytes, formatCount, formatDuration, Mono, Time } from '../../ui/index.ts';
import { doingText, type Session } from './session.ts';

/** One session: who it is, what it does, and what one can do about it. */
export function SessionDrawer({
  session,
  onClose,
  onEnd,
  onQuarantine,
}: {
  /** Undefined: it runs no more. */
  readonly session: Session | undefined;
  readonly onClose: () => void;
  readonly onEnd: () => void;
  readonly onQuarantine: () => void;
}) {
  return (
    <Drawer
      open
      onClose={onClose}
      title="Session"
      actions={
        session === undefined ? undefined : (
          <>
            <Button onClick={onQuarantine}>Quarantine…</Button>
            <Button kind="danger" onClick={onEnd}>
              End…
            </Button>
          </>
        )
      }
    >
      {session === undefined ? (
        <p className="text-sm">
          This session has ended, or is not among those that the filters show. The record has all that it did.
        </p>
      ) : (
        <div className="flex flex-col gap-5">
          <Facts
            of={[
              [
                'Identity',
                <Mono key="v" wrap>
                  {session.identity}
                </Mono>,
              ],
              [
                'Target',
                <Mono key="v" wrap>
                  {session.target}
                </Mono>,
              ],
              ['Since', <Time key="v" at={session.since} />],
              ['Node', session.node === undefined ? undefined : <Mono wrap>{session.node}</Mono>],
              [
                'Process',
                session.process === undefined ? undefined : (
                  <Mono
                    wrap
                  >{`${session.process.executable} (pid ${session.process.pid}, uid ${session.process.uid})`}</Mono>
                ),
              ],
              ['Calls itself', session.application === undefined ? undefined : <Mono wrap>{session.application}</Mono>],
              ['Driver', session.driver === undefined ? undefined : <Mono wrap>{session.driver}</Mono>],
              ['Door', session.door],
              ['Peer', session.peer === undefined ? undefined : <Mono wrap>{session.peer}</Mono>],
              [
                'Gateway',
                <Mono key="v" wrap>
                  {session.gatewayAddress}
                </Mono>,
              ],
              [
                'Id',
                <Mono key="v" wrap>
                  {session.id}
                </Mono>,
              ],
            ]}
          />
          <Doing session={session} />
          <Facts
            of={[
              ['Operations', formatCount(session.operations)],
              ['Denials', formatCount(session.denials)],
              ['Items', formatCount(session.items)],
              ['In', formatBytes(session.bytesIn)],
              ['Out', formatBytes(session.bytesOut)],
              ['Masks', session.masks.length === 0 ? 'none' : <Mono wrap>{session.masks.join('\n')}</Mono>],
              ['More masks', session.masksLeftOut === 0 ? undefined : session.masksLeftOut],
            ]}
          />
          <p className="text-sm">
            <Link to="/record" search={{ session: session.id } as never} className="text-accent underline">
              Everything this session did, in the record
            </Link>
          </p>
        </div>
      )}
    </Drawer>
  );
}

function Doing({ session: { current, last } }: { readonly session: Session }) {
  const operation = current ?? last;
  if (operation === undefined) return <p className="text-sm text-soft">It has done nothing yet.</p>;
  return (
    <section aria-label="Operation" className="text-sm">
      <p className="mb-1 flex items-center gap-2">
        <Badge tone={current === undefined ? 'plain' : 'accent'}>{current === undefined ? 'last' : 'now'}</Badge>
        <span className="font-medium">{operation.action}</span>
        <span className="text-soft">{formatDuration(operation.durationMs)}</span>
      </p>
      <div className="rounded-md border border-line bg-page p-2">
        <Mono wrap>{doingText(operation)}</Mono>
      </div>
    </section>
  );
}
