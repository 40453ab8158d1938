from eventstore import *
async def test_x(any_store, server):
    r = await any_store.append("a", [NewEvent("x.y")])
    assert r.first_version == 1
    assert [e.version async for e in any_store.read_run("a")]==[1]
async def test_y(store, own_server):
    own_server.restart()
def test_z(sync_store): pass
