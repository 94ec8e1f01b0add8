/**
 * The devices of a user, the newest by event_time, and when each device's own object was last pointed here. A device's
 * last_seen only rises, so the newest 50 are the same in whatever order the log brings the events. A device that was
 * cut and comes back knows only what came since, and is pointed at again.
 */
import type { EventRow } from "../../r2-layout/event-columns.ts";
import { DAY_MS, TIMELINE } from "../../r2-layout/limits.ts";

interface KnownDevice {
  /** event_time of its newest event, microseconds. */
  lastSeen: number;
  deviceType: string | null;
  /** event_time of the event that deviceType is from. */
  typeAt: number;
  /** Milliseconds, this object's clock: machinery, not part of the profile. */
  pointedAt: number;
}

export type EncodedDevices = readonly (readonly [
  id: string,
  lastSeen: number,
  deviceType: string | null,
  typeAt: number,
  pointedAt: number,
])[];

export class KnownDevices {
  readonly #devices: Map<string, KnownDevice>;

  constructor(encoded: EncodedDevices = []) {
    this.#devices = new Map(
      encoded.map(([id, lastSeen, deviceType, typeAt, pointedAt]) => [id, { lastSeen, deviceType, typeAt, pointedAt }]),
    );
  }

  /** @returns whether the device is new here or was not pointed at for a day: then the caller is to point at it now. */
  fold(id: string, event: EventRow, nowMs: number): boolean {
    const at = event.event_time;
    const known = this.#devices.get(id) ?? { lastSeen: at, deviceType: null, typeAt: at, pointedAt: -Infinity };
    known.lastSeen = Math.max(known.lastSeen, at);
    const type = event.device_type;
    if (type && (known.deviceType === null || at > known.typeAt || (at === known.typeAt && type > known.deviceType))) {
      known.deviceType = type;
      known.typeAt = at;
    }
    const due = nowMs - known.pointedAt >= DAY_MS;
    if (due) known.pointedAt = nowMs;
    this.#devices.set(id, known);
    if (this.#devices.size > TIMELINE.devicesPerUser) this.#devices.delete(this.#byAge().at(-1)![0]);
    return due;
  }

  /** Microseconds; null where the device is not known. */
  lastSeen(id: string): number | null {
    return this.#devices.get(id)?.lastSeen ?? null;
  }

  /** Takes over when devices were pointed at, from what was known before they were counted anew. */
  keepPointers(before: KnownDevices): void {
    for (const [id, device] of this.#devices) {
      device.pointedAt = before.#devices.get(id)?.pointedAt ?? device.pointedAt;
    }
  }

  /** Newest first. */
  list(): { anonymous_id: string; last_seen: number; device_type: string | null }[] {
    return this.#byAge().map(([id, { lastSeen, deviceType }]) => ({
      anonymous_id: id,
      last_seen: lastSeen,
      device_type: deviceType,
    }));
  }

  encode(): EncodedDevices {
    return [...this.#devices].map(([id, device]) => [
      id,
      device.lastSeen,
      device.deviceType,
      device.typeAt,
      device.pointedAt,
    ]);
  }

  #byAge(): [string, KnownDevice][] {
    return [...this.#devices].sort(([a, x], [b, y]) => y.lastSeen - x.lastSeen || (a < b ? -1 : 1));
  }
}
