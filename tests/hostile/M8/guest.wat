(component
  (import "agent-host:tool/host@0.1.0" (instance $host
    (type $level' (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))
    (export "log" (func (param "level" $level) (param "message" string)))))
  (core module $memory (memory (export "memory") 16400))
  (core instance $memory (instantiate $memory))
  (core func $log (canon lower (func $host "log") (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "log" (func $log (param i32 i32 i32)))
    (func (export "run") (call $log (i32.const 0) (i32.const 0) (i32.const 0x40000000))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "log" (func $log))))))
  (func (export "run") (canon lift (core func $i "run"))))
