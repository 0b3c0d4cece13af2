/** A role that runs as a process of its own. */
export type RoleName = 'server' | 'agent' | 'gateway';

/** What operators are told of one condition; the guide's table of what is red is made of it. */
export interface ConditionEntry {
  readonly roles: readonly RoleName[];
  /** What is so while it stands. */
  readonly meaning: string;
  /** What of the role goes on meanwhile, and how it ends. */
  readonly effect: string;
  /** What a person does, where the finding itself does not say it better. */
  readonly remedy: string;
  /** Somebody wants it so: the log has it without alarm. */
  readonly isWanted?: true;
}

/**
 * Everything that can be wrong with a running role, once. `/ready`, the metric `countersign_condition`, `doctor`, the log and the guide are
 * made of this table, and a role does not compile without a check of each of its conditions: a part can't be in one of them and not in another.
 */
export const conditionTable = {
  starting: {
    roles: ['server', 'agent', 'gateway'],
    meaning: 'The role has not finished starting.',
    effect: 'It serves nobody yet. Ends by itself.',
    remedy: 'Wait; if it lasts, see its log for what it waits for.',
  },
  leaving: {
    roles: ['gateway'],
    meaning: 'The gateway was told to stop, and takes no new session.',
    effect:
      'Other gateways take them. Sessions that it has go on, for `gateway.drainDelay` at most, and then end when they are idle. Ends with the process.',
    remedy: 'Nothing; or see who told it to stop.',
    isWanted: true,
  },
  workers: {
    roles: ['gateway'],
    meaning: 'One of the processes that `gateway.workers` asks for is not there, or says nothing.',
    effect:
      'Its sessions have ended, or wait; the others take what comes. One that ended is started again, after half a minute at most; one that hangs is ended after half a minute of its own time. Ends when it runs.',
    remedy: 'See the log of the gateway for how it ended: its own last lines stand before.',
  },
  ledger: {
    roles: ['server', 'gateway'],
    meaning:
      'The ledger takes no entries, or soon will not: its volume is full or read-only, or a write or sync failed.',
    effect:
      'A gateway executes nothing; a server refuses what operators do, and issues on. Full: goes on by itself once there is room. Failed: the role ends, and its next start repairs.',
    remedy: 'Make room on the volume of the data folder, or see to its disk; docs/guide/operations.md says more.',
  },
  checkpoints: {
    roles: ['server', 'gateway'],
    meaning: 'Entries wait for longer than ten seconds to be signed by a checkpoint.',
    effect:
      'Entries are still recorded and synced, but nobody can prove them yet; after twenty seconds the ledger takes no more. Ends by itself when signing works again.',
    remedy:
      'Look at the disk and the log (ledger.checkpoint.failed). If the tree can not be led on, run `countersign ledger verify`.',
  },
  clock: {
    roles: ['server', 'agent', 'gateway'],
    meaning:
      'The clock of this machine and that of the server (of a server: that of its database) are more than half a minute apart.',
    effect:
      'What one side issues is not valid yet, or not any more, at the other. Ends by itself when the clocks agree.',
    remedy: 'Set both clocks by NTP.',
  },
  room: {
    roles: ['server', 'agent', 'gateway'],
    meaning: 'Less than 512 MiB are free where the role keeps its data.',
    effect: 'All goes on until it is full. Ends by itself when there is room.',
    remedy: 'Make room: a full disk stops what has to be recorded or kept.',
  },
  'event-loop': {
    roles: ['server', 'agent', 'gateway'],
    meaning: 'The process was blocked for over a second, within the last minute.',
    effect: 'All that it serves waited for so long. Ends by itself a minute after the last time.',
    remedy: 'Look at the load of the machine and its swap; report it if the machine was idle.',
  },
  descriptors: {
    roles: ['server', 'agent', 'gateway'],
    meaning: 'Nine tenths of the files and sockets that the process may have open are open.',
    effect: 'New connections fail at the limit. Ends by itself.',
    remedy: 'Raise the limit (systemd: LimitNOFILE), and see who connects.',
  },
  store: {
    roles: ['server'],
    meaning: 'The store does not answer.',
    effect:
      'The server goes on with what it holds in memory; changes, join tokens and first attestations fail. Ends by itself.',
    remedy: 'See to the database, or to the volume that it lies on.',
  },
  presence: {
    roles: ['server'],
    meaning:
      'Other servers take this one for gone, or did within the last minute: it could not say in time that it is there.',
    effect:
      'Its gateways count as gone meanwhile, and agents are sent to others; it takes nobody else for gone. Ends by itself a minute after it was heard again.',
    remedy: 'See what holds this server up: the load of the machine, or the way to the database.',
  },
  release: {
    roles: ['server'],
    meaning: 'The store was migrated by a newer release than that of this server.',
    effect:
      'It goes on, on what the newer release only added. Once that has written there, this server passes over what it does not understand, and would not start again. Ends with this server.',
    remedy: 'Bring this server to the release that the finding names, or go back to this one with all of them.',
  },
  keys: {
    roles: ['server'],
    meaning: 'Keys of an authority that agents trust were lost, and others were made in their place as it was told to.',
    effect:
      'SVIDs stay good until they expire, but agents and gateways do not know this server. Ends when the lost authority expires.',
    remedy: 'Give each agent a fresh bundle: `countersign bundle show`, then agent.trustBundle.',
  },
  record: {
    roles: ['server'],
    meaning:
      'A ledger that is shipped to the server was forked, rolled back, edited, has a gap, is signed by another key, or is silent.',
    effect:
      'What was shipped of it before is kept and stays good; what contradicts it is not taken. A gap, an edited entry and a rollback end by themselves when what was signed is shipped after all, silence when the log is heard again; a fork and another key do not.',
    remedy:
      'Keep the folder of that ledger as it is and find out who changed it: `countersign ledger verify`. When it is settled: `countersign record accept NAME`.',
  },
  shipping: {
    roles: ['server', 'gateway'],
    meaning: 'Entries of the ledger wait for over a minute to be shipped to the record, or the record refuses them.',
    effect:
      'The entries stay here until they are shipped, and all goes on; at a gateway for `gateway.unshippedMax`, and then nothing is executed. Ends by itself when they are shipped.',
    remedy: 'See that the server runs and is reached; of a refusal, do as the condition `record` of the server says.',
  },
  sinks: {
    roles: ['server'],
    meaning:
      'A sink of the record takes nothing for over half a minute, or refuses an entry. Told by the server that hands over to it.',
    effect:
      'All else goes on, other sinks too. Nothing is left out: entries stay in the record until they are taken. Of an entry that is refused only its own ledger waits. Ends by itself when the sink takes them.',
    remedy: 'See that what takes the events runs and is reached, and that its credentials are those that it expects.',
  },
  retention: {
    roles: ['server'],
    meaning:
      'Entries of the record that are past their time wait for over an hour for a sink or an export, or can not leave. Told by the server that looks after it.',
    effect:
      'All else goes on; what is past its time is still there, and found. For a sink or an export it waits for `server.record.retentionWait` at most, then it goes without. Ends by itself.',
    remedy: 'See to the sink; read the export to its end. One that nobody reads on holds back for a day.',
  },
  access: {
    roles: ['server'],
    meaning:
      'The policies that say who may do what with the server can not be evaluated, or were not to be read for half a minute.',
    effect:
      'They permit nothing: people and identities are refused. Agents, gateways and the operator socket go on. Ends with policies that can be evaluated, or when the store answers.',
    remedy:
      'By the operator socket `countersign access show` says why; `countersign access apply` replaces them, and takes back what was changed with --default.',
  },
  authority: {
    roles: ['server'],
    meaning: 'Authorities can not be rotated, or none is there to sign with.',
    effect: 'The active keys go on until they expire; then nothing is issued. Ends by itself when a check succeeds.',
    remedy: 'The finding says what fails: the store, the keystore or the clock.',
  },
  identity: {
    roles: ['server', 'agent', 'gateway'],
    meaning: 'The role has no valid identity of its own, or it could not be renewed in time.',
    effect: 'Without one nobody can be served; one that was not renewed is good until it expires. Ends by itself.',
    remedy: 'See that the server runs and is reached.',
  },
  'server-link': {
    roles: ['agent', 'gateway'],
    meaning: 'The server can not be reached, is not the one it should be, or refuses.',
    effect:
      'What was fetched stays in force until it expires; nothing new comes. Ends by itself when the server answers.',
    remedy: 'See that the server runs and that this machine reaches it.',
  },
  revocations: {
    roles: ['agent', 'gateway'],
    meaning:
      'Who is revoked is not known here, or not any more: the server has not said so for too long, says what is older than what was said before, or it can not be kept.',
    effect:
      'Whoever was known to be revoked stays refused. Where it is too old, a gateway goes by `gateway.revocations.whenStale`, and an agent goes on; what can not be kept is in force, and not acknowledged. Ends by itself when the server says what stands.',
    remedy: 'See that the server runs and is reached, and to the volume of the data folder.',
  },
  'put-back': {
    roles: ['server'],
    meaning:
      'An agent or gateway says that it has a state of revocations which the store has not: the store was put back from a backup, or whoever says so lies.',
    effect:
      'It keeps to what it knows to be revoked, is told nothing that came since, and grows stale. Ends two minutes after the last has said so.',
    remedy:
      'Look what is missing (`countersign record search --action Revoke`), revoke it again, then `countersign revocation restart`. Where the store was never put back, look at who says so.',
  },
  push: {
    roles: ['agent'],
    meaning: 'The stream by which the server tells of changes is not open.',
    effect: 'The agent asks every five seconds instead. Ends by itself.',
    remedy: 'Nothing, unless it lasts: then see the log of the server.',
  },
  socket: {
    roles: ['agent'],
    meaning: 'The socket of the Workload API is not where processes look for it.',
    effect: 'No process can get or renew its identity. Ends when the agent is started again.',
    remedy: 'Find out what removed it (a cleaner of /tmp or /run?), then start the agent again.',
  },
  cache: {
    roles: ['agent'],
    meaning: 'What the agent keeps on disk for times without a server could not be read or written.',
    effect:
      'All goes on, but an agent that is restarted while the server is away serves nobody. Ends with the next write.',
    remedy: 'See to the volume of agent.dataDir, and that only the agent writes there.',
  },
  policies: {
    roles: ['gateway'],
    meaning: 'Targets and policies at the server are not in force at this gateway.',
    effect: 'Those before stay in force; without any, nobody is served. Ends by itself with the next that can be used.',
    remedy: 'Correct what the finding names, or bring gateway and server to one version.',
  },
  targets: {
    roles: ['gateway'],
    meaning: 'A target is not served as it was declared: its door, its secret, its definition or its login fails.',
    effect: 'Other targets are served. Ends by itself; the gateway tries again, every minute at least.',
    remedy: 'Do as the finding says.',
  },
  certificates: {
    roles: ['gateway'],
    meaning:
      'The certificate of a target’s own door (`listen.certificate`) expires before long, is not for all hosts, or can not be used.',
    effect:
      'One that was good is shown until it expires. Without one, clients that need it are not taken; those with an SVID are by the names of the gateway’s own. Ends by itself within ten seconds of a good one.',
    remedy: 'Renew certificate and key where the finding says.',
  },
  masks: {
    roles: ['gateway'],
    meaning: 'A policy masks a column that its table has not.',
    effect:
      'Whatever reads that table as somebody under the policy is refused. Ends when the policy is mended or the column is there.',
    remedy: 'Mend the column in the mask, and apply the policy.',
  },
  names: {
    roles: ['gateway'],
    meaning: 'A policy names something that a target has not.',
    effect: 'Nothing is refused. Ends when the policy is mended or the thing is there.',
    remedy: 'Correct the name in the policy.',
  },
} as const satisfies Readonly<Record<string, ConditionEntry>>;

/** The conditions of one role. */
export type ConditionName<Role extends RoleName = RoleName> = {
  [Name in keyof typeof conditionTable]: Role extends (typeof conditionTable)[Name]['roles'][number] ? Name : never;
}[keyof typeof conditionTable];

/** Their names, in the order of the table. */
export function conditionsOf<Role extends RoleName>(role: Role): readonly ConditionName<Role>[] {
  return Object.entries(conditionTable)
    .filter(([, { roles }]: [string, ConditionEntry]) => roles.includes(role))
    .map(([name]) => name as ConditionName<Role>); // Just selected by its role.
}
