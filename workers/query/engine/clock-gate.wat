;; Between DuckDB and the host's clock (clock.ts). An import that may suspend must not be called where no promising export
;; is on the stack, and a JavaScript function between the two would be a frame that cannot be suspended: so the choice
;; is made here. While a statement may be interrupted, the clock is what it was at the last tick, as it is for all code
;; in workerd: there it stands still while code runs.
(module
  (import "clock" "tick" (func $tick (result f64))) ;; may suspend
  (import "clock" "now" (func $now (result f64)))
  (global $every (export "every") (mut i32) (i32.const 0)) ;; calls between two ticks; 0: only ask the clock
  (global $left (export "left") (mut i32) (i32.const 0))
  (global $last (mut f64) (f64.const 0))
  (func (export "now") (result f64)
    (if (i32.eqz (global.get $every)) (then (return (call $now))))
    (global.set $left (i32.sub (global.get $left) (i32.const 1)))
    (if (i32.gt_s (global.get $left) (i32.const 0)) (then (return (global.get $last))))
    (global.set $left (global.get $every))
    (global.set $last (call $tick))
    (global.get $last)))
