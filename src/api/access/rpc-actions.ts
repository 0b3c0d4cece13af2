/**
 * The actions of each gRPC method, by which policy speaks of it: what the same act is called as an endpoint, where there is one. One that answers what
 * several endpoints do is for whoever may do each. Who may do what stands in the built-in and the default policy; a method that is missing here is refused to everyone.
 */
export const rpcActions: ReadonlyMap<string, readonly [string, ...string[]]> = new Map(
  Object.entries({
    'grpc.health.v1.Health': { Check: 'health.check' },
    'spire.api.server.agent.v1.Agent': {
      AttestAgent: 'node.attest',
      RenewAgent: 'node.renew',
      PostStatus: 'node.report',
      CountAgents: 'node.count',
      ListAgents: 'node.list',
      GetAgent: 'node.get',
      DeleteAgent: 'node.delete',
      BanAgent: 'node.ban',
      CreateJoinToken: 'node.invite',
    },
    'spire.api.server.bundle.v1.Bundle': {
      GetBundle: 'bundle.get',
      GetFederatedBundle: 'federated-bundle.get',
      CountBundles: 'federated-bundle.count',
      ListFederatedBundles: 'federated-bundle.list',
      BatchCreateFederatedBundle: 'federated-bundle.create',
      BatchUpdateFederatedBundle: 'federated-bundle.update',
      BatchSetFederatedBundle: 'federated-bundle.set',
      BatchDeleteFederatedBundle: 'federated-bundle.delete',
    },
    'spire.api.server.entry.v1.Entry': {
      GetAuthorizedEntries: 'issuable-entry.list',
      SyncAuthorizedEntries: 'issuable-entry.sync',
      CountEntries: 'entry.list',
      ListEntries: 'entry.list',
      GetEntry: 'entry.get',
      BatchCreateEntry: 'entry.create',
      BatchUpdateEntry: 'entry.update',
      BatchDeleteEntry: 'entry.delete',
    },
    'spire.api.server.svid.v1.SVID': {
      BatchNewX509SVID: 'svid.issue-x509',
      NewJWTSVID: 'svid.issue-jwt',
      MintX509SVID: 'svid.mint-x509',
      MintJWTSVID: 'svid.mint-jwt',
    },
    'countersign.control.v1.Control': {
      WatchNode: 'node.watch',
      ReportRefusals: 'node.report-refusals',
      WatchGateway: 'gateway.watch',
      ReportGateway: 'gateway.report',
      Apply: 'resource.apply',
      CreateEntry: 'entry.create',
      ListEntryAttributes: 'entry.list',
      ListResources: ['target.list', 'policy.list'],
      ListGateways: 'gateway.list',
    },
    'countersign.control.v1.Records': {
      Ship: 'record.ship',
      SearchRecords: 'record.search',
      GetRecord: 'record.get',
      ListLogs: 'log.list',
      AcceptLog: 'log.accept',
    },
    'countersign.control.v1.Revocations': {
      WatchRevocations: 'revocation.watch',
      AckRevocations: 'revocation.acknowledge',
    },
    'countersign.control.v1.Approvals': {
      HoldOperation: 'approval.hold',
      SpendApproval: 'approval.spend',
      WithdrawHold: 'approval.withdraw',
    },
    'countersign.control.v1.Questions': { Answer: 'question.answer' },
    'countersign.control.v1.Sessions': { ListSessions: 'session.list', EndSessions: 'session.end' },
  }).flatMap(([service, actions]) =>
    Object.entries<string | readonly string[]>(actions).map(([method, named]): [string, [string, ...string[]]] => {
      const [first = '', ...rest] = [named].flat().map((action) => `countersign:${action}`);
      return [`/${service}/${method}`, [first, ...rest]];
    }),
  ),
);

/** What callers of each kind ask for in their daily work; all else is operating. */
export const rpcGroups = {
  /** Asked before anybody has an identity. */
  'countersign:public': ['health.check', 'node.attest', 'bundle.get'],
  /** What the agent of a node does. */
  'countersign:attend-node': [
    ...['node.renew', 'node.report', 'node.watch', 'node.report-refusals', 'federated-bundle.get'],
    ...['issuable-entry.list', 'issuable-entry.sync', 'svid.issue-x509', 'svid.issue-jwt'],
    ...['revocation.watch', 'revocation.acknowledge'],
  ],
  /** What a gateway does. */
  'countersign:serve-gateway': [
    ...['gateway.watch', 'gateway.report', 'record.ship', 'question.answer'],
    ...['approval.hold', 'approval.spend', 'approval.withdraw'],
    ...['revocation.watch', 'revocation.acknowledge'],
  ],
  /** What operators do: look, and change. */
  'countersign:look': [
    ...['node.count', 'node.list', 'node.get', 'federated-bundle.get', 'federated-bundle.count'],
    ...['federated-bundle.list', 'entry.list', 'entry.get', 'target.list', 'policy.list', 'gateway.list'],
    ...['record.search', 'record.get', 'log.list', 'session.list'],
  ],
  'countersign:change': [
    ...['node.delete', 'node.ban', 'node.invite', 'federated-bundle.create', 'federated-bundle.update'],
    ...['federated-bundle.set', 'federated-bundle.delete', 'entry.create', 'entry.update', 'entry.delete'],
    ...['svid.mint-x509', 'svid.mint-jwt', 'resource.apply', 'log.accept', 'session.end'],
  ],
} as const;
