(component
  (core module $m (func (export "f") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $list (result u8) (canon lift (core func $i "f")))
  (instance $tools (export "list-tools" (func $list)))
  (export "agent-host:tool/tools@0.1.0" (instance $tools)))
