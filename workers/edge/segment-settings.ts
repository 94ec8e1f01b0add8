/**
 * What Segment's SDKs ask for before they send: where events go and which destinations run in the device (none).
 * Events go to the host that was asked, so an unmodified SDK needs only its `cdnURL` (or proxy) to be set.
 */
export function segmentSettings(url: URL, writeKey: string): Record<string, unknown> {
  return {
    integrations: {
      "Segment.io": {
        apiKey: writeKey,
        apiHost: `${url.host}/v1`,
        protocol: url.protocol.replace(":", ""),
        // Bookkeeping for destinations that do not exist here: some 100 bytes an event.
        addBundledMetadata: false,
        unbundledIntegrations: [],
        maybeBundledConfigIds: {},
        type: "server",
      },
    },
    plan: { track: { __default: { enabled: true, integrations: {} } }, identify: { __default: { enabled: true } } },
    edgeFunction: {},
    middlewareSettings: { routingRules: [] },
    enabledMiddleware: {},
    // Segment's measurements of its own library.
    metrics: { sampleRate: 0 },
    analyticsNextEnabled: true,
    legacyVideoPluginsEnabled: false,
    remotePlugins: [],
  };
}
