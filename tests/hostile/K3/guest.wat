(component
  (import "acme:db/query@1.0.0" (instance (export "find" (func))))
  (import "acme:log/sink" (instance (export "write" (func))))
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
