"""Generated Python clients (grpcio) against a real peer.

The stubs come from the same z4.proto as the peer, but from protoc and not from prost, and they speak through gRPC's C core and not
through tonic: what both sides of the Rust tests could misunderstand together shows here.
"""

import os
import queue
import time
import unittest

import grpc
from google.protobuf import descriptor_pool, timestamp_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import z4_pb2 as z4
import z4_pb2_grpc
from peer import Peer

TIMEOUT = 60


class Stream:
    """The requests of a stream, fed one by one."""

    def __init__(self, *first):
        self._queue = queue.SimpleQueue()
        for request in first:
            self.send(request)

    def send(self, request):
        self._queue.put(request)

    def end(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(os.environ["Z4_CLIENTS_BIN"])
        cls.addClassCleanup(cls.peer.close)
        cls.channel = grpc.insecure_channel(cls.peer.address)
        cls.addClassCleanup(cls.channel.close)
        cls.tasks = z4_pb2_grpc.CollectionStub(cls.channel)
        cls.admin = z4_pb2_grpc.AdminStub(cls.channel)

    def refused(self, code, call, request, *names):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, timeout=TIMEOUT)
        self.assertEqual(caught.exception.code(), code)
        for name in names:
            self.assertIn(name, caught.exception.details())

    def live(self, namespace):
        return self.tasks.GetNamespace(z4.GetNamespaceRequest(namespace=namespace), timeout=TIMEOUT).live

    def test_a_task_is_created_read_and_deleted(self):
        due = timestamp_pb2.Timestamp(seconds=int(time.time()) + 3600, nanos=250_000_000)
        request = z4.CreateTaskRequest(
            namespace="py", metadata={"to": "ünal"}, payload=b"\x00\xff", deliver_at=due, request_id="r1")
        created = self.tasks.CreateTask(request, timeout=TIMEOUT)
        self.assertFalse(created.duplicate)
        self.assertTrue(self.tasks.CreateTask(request, timeout=TIMEOUT).duplicate)
        get = z4.GetTaskRequest(namespace="py", task_id=created.task.id)
        task = self.tasks.GetTask(get, timeout=TIMEOUT)
        self.assertEqual((dict(task.metadata), task.payload, task.deliver_at), ({"to": "ünal"}, b"\x00\xff", due))
        self.assertEqual(task.state, z4.TASK_STATE_SCHEDULED)
        self.tasks.DeleteTask(z4.DeleteTaskRequest(namespace="py", task_id=task.id), timeout=TIMEOUT)
        self.refused(grpc.StatusCode.NOT_FOUND, self.tasks.GetTask, get, task.id)

    def test_refusals_have_status_and_text(self):
        request = z4.CreateTaskRequest(namespace="n" * 256)
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.tasks.CreateTask, request, "namespace", "256", "255")

    def test_a_stream_of_creates_is_answered_in_order(self):
        requests = [z4.CreateTaskRequest(namespace="py-stream" if n % 10 else "", payload=str(n).encode(), echo=True) for n in range(200)]
        answers = list(self.tasks.CreateTaskStream(iter(requests), timeout=TIMEOUT))
        self.assertEqual(len(answers), 200)
        for n, answer in enumerate(answers):
            expected = (0, str(n).encode()) if n % 10 else (grpc.StatusCode.INVALID_ARGUMENT.value[0], b"")
            self.assertEqual((answer.status, answer.task.payload), expected, answer.message)
        self.assertEqual(self.live("py-stream"), 180)

    def test_tasks_are_consumed_and_acknowledged(self):
        batch = [z4.CreateTaskRequest(namespace="py-consume", payload=str(n).encode()) for n in range(50)]
        results = self.tasks.CreateTasks(z4.CreateTasksRequest(tasks=batch), timeout=TIMEOUT).results
        self.assertEqual([result.status for result in results], [0] * 50)
        requests = Stream(z4.ConsumeRequest(open=z4.ConsumeOpen(namespaces=["py-consume"]), credit=10))
        payloads, acked = [], 0
        answers = self.tasks.Consume(iter(requests), timeout=TIMEOUT)
        for answer in answers:
            for result in answer.results:
                self.assertEqual(result.status, 0, result.message)
                acked += 1
            acks = []
            for delivery in answer.deliveries:
                payloads.append(int(delivery.task.payload))
                self.assertEqual(delivery.attempt, 1)
                acks.append(z4.Ack(namespace="py-consume", task_id=delivery.task.id, token=delivery.token))
            if acks:
                requests.send(z4.ConsumeRequest(acks=acks, credit=len(acks)))
            if acked == 50:
                requests.end()
        self.assertEqual(answers.code(), grpc.StatusCode.OK)
        self.assertEqual(sorted(payloads), list(range(50)))
        self.assertEqual(self.live("py-consume"), 0)

    def test_tasks_are_leased_and_a_wrong_token_is_refused(self):
        self.tasks.CreateTask(z4.CreateTaskRequest(namespace="py-lease"), timeout=TIMEOUT)
        request = z4.LeaseTasksRequest(namespaces=["py-lease"], max_tasks=1, wait_ms=30_000)
        delivery = self.tasks.LeaseTasks(request, timeout=TIMEOUT).deliveries[0]

        def ack(token):
            acks = [z4.Ack(namespace="py-lease", task_id=delivery.task.id, token=token)]
            return self.tasks.AckTasks(z4.AckTasksRequest(acks=acks), timeout=TIMEOUT).results[0]

        refused = grpc.StatusCode.FAILED_PRECONDITION.value[0]
        self.assertEqual(ack(delivery.token + 1).status, refused)
        self.assertEqual(ack(delivery.token).status, 0)
        # Said again it is answered again, because the first answer may have been lost.
        self.assertEqual(ack(delivery.token).status, 0)
        self.assertEqual(ack(delivery.token + 1).status, refused)

    def test_a_stream_for_older_clients(self):
        self.tasks.CreateTaskAsync(z4.CreateTaskRequest(namespace="py-old", payload=b"x"), timeout=TIMEOUT)
        stream = self.tasks.GetTaskStream(z4.StreamTasksRequest(namespace="py-old"), timeout=TIMEOUT)
        self.assertEqual(next(stream).payload, b"x")
        stream.cancel()

    def test_health(self):
        health = health_pb2_grpc.HealthStub(self.channel)
        for service in ["", "z4.Collection", "z4.Admin"]:
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING, service)
        first = next(health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT))
        self.assertEqual(first.status, health_pb2.HealthCheckResponse.SERVING)
        self.admin.CheckHealth(z4.CheckHealthRequest(), timeout=TIMEOUT)

    def test_reflection_describes_the_same_service_as_the_file(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertLessEqual({"z4.Collection", "z4.Admin"}, set(database.get_services()))
        pool = descriptor_pool.DescriptorPool(database)
        for name in ["z4.Collection", "z4.Admin"]:
            methods = {method.name: (method.input_type.full_name, method.output_type.full_name)
                       for method in pool.FindServiceByName(name).methods}
            expected = {method.name: (method.input_type.full_name, method.output_type.full_name)
                        for method in z4.DESCRIPTOR.services_by_name[name.removeprefix("z4.")].methods}
            self.assertEqual(methods, expected)

    def test_the_cluster_knows_itself(self):
        info = self.admin.GetClusterInfo(z4.GetClusterInfoRequest(), timeout=TIMEOUT)
        self.assertEqual((info.server_id, [member.id for member in info.members]), ("peer-1", ["peer-1"]))
        self.assertEqual({group.leader for group in info.groups}, {"peer-1"})
