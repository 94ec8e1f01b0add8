/** The local queue (scripts/local/queue), in workerd, keeps the contract that the simulated broker keeps. */
import { startQueueRig, until } from "../../scripts/local/queue-rig.ts";
import { queueContract } from "./queue-contract.ts";

queueContract(async (decide, settings) => {
  const rig = await startQueueRig((_, messages) => decide(messages), { ...settings, deadLetterQueue: "dead" });
  return {
    send: async (messages) => {
      const response = await rig.send("a", messages);
      if (!response.ok) throw new Error(await response.text());
    },
    now: () => Date.now(),
    dead: async () => (await rig.status("dead")).ready,
    left: async () => {
      const { ready, delayed, underWay } = await rig.status("a");
      return ready + delayed + underWay;
    },
    until: (condition) => until("the deliveries", condition),
    stop: () => rig.stop(),
  };
});
