/** Full screen for a wall: whoever leaves it leaves the wall, and the screen does not go dark meanwhile. */
import { useEffect } from "preact/hooks";

export function useWall(isWall: boolean, onLeave: () => void): void {
  useEffect(() => {
    if (!isWall) return;
    let lock: WakeLockSentinel | null = null;
    // The browser takes it back whenever the page is hidden.
    const stayAwake = async () => {
      if (document.visibilityState === "hidden") return;
      lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    };
    const leave = () => {
      if (!document.fullscreenElement) onLeave();
    };
    void stayAwake();
    document.addEventListener("visibilitychange", stayAwake);
    document.addEventListener("fullscreenchange", leave);
    return () => {
      document.removeEventListener("visibilitychange", stayAwake);
      document.removeEventListener("fullscreenchange", leave);
      void lock?.release();
      if (document.fullscreenElement) void document.exitFullscreen().catch(() => {});
    };
  }, [isWall]);
}

/** Refused where no person has asked for it, as for an address that says so: the tiles fill the window all the same. */
export const enterFullScreen = (): void => void document.documentElement.requestFullscreen?.().catch(() => {});
