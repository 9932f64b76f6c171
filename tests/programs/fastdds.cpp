// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ordinary program that uses Fast DDS with its shared memory transport only,
 * also for discovery. It knows nothing of VMShm; test-fastdds.sh runs it on the
 * host and in a guest.
 *
 * usage: fastdds write DOMAIN SECONDS
 *	  fastdds read DOMAIN SECONDS ROUNDS
 *
 * The writer publishes numbers until a reader has come and gone. The reader ends
 * after ROUNDS of them. The exit code is 1 if SECONDS have passed before.
 */
#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/log/Log.hpp>
#include <fastdds/dds/log/StdoutErrConsumer.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/TopicDataType.hpp>
#include <fastdds/rtps/transport/shared_mem/SharedMemTransportDescriptor.h>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>

using namespace eprosima::fastdds::dds;
using namespace eprosima::fastrtps::rtps;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			std::cerr << "fastdds: line " << __LINE__	\
				  << ": " << #condition << std::endl;	\
			std::_Exit(1);					\
		}							\
	} while (0)

/* A sample is a number; its bytes are not converted. */
class NumberType : public TopicDataType {
public:
	NumberType()
	{
		setName("Number");
		m_typeSize = 4 + sizeof(uint64_t);
		m_isGetKeyDefined = false;
	}

	bool serialize(void *data, SerializedPayload_t *payload) override
	{
		static const unsigned char head[4] = { 0, 1, 0, 0 };

		memcpy(payload->data, head, 4);
		memcpy(payload->data + 4, data, sizeof(uint64_t));
		payload->length = m_typeSize;
		payload->encapsulation = CDR_LE;
		return true;
	}

	bool deserialize(SerializedPayload_t *payload, void *data) override
	{
		memcpy(data, payload->data + 4, sizeof(uint64_t));
		return true;
	}

	std::function<uint32_t()> getSerializedSizeProvider(void *) override
	{
		return [this] { return m_typeSize; };
	}

	void *createData() override
	{
		return new uint64_t;
	}

	void deleteData(void *data) override
	{
		delete static_cast<uint64_t *>(data);
	}

	bool getKey(void *, InstanceHandle_t *, bool) override
	{
		return false;
	}
};

static std::chrono::steady_clock::time_point deadline;

static void pause_or_end()
{
	CHECK(std::chrono::steady_clock::now() < deadline);
	std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

static DomainParticipant *participant(int domain)
{
	DomainParticipantQos qos;
	DomainParticipant *p;

	qos.transport().use_builtin_transports = false;
	qos.transport().user_transports.push_back(std::make_shared<
		eprosima::fastdds::rtps::SharedMemTransportDescriptor>());
	p = DomainParticipantFactory::get_instance()->create_participant(domain,
									 qos);
	CHECK(p);
	return p;
}

static void write_numbers(DomainParticipant *p, Topic *topic)
{
	DataWriterQos qos = DATAWRITER_QOS_DEFAULT;
	PublicationMatchedStatus status;
	uint64_t number = 0;

	qos.reliability().kind = RELIABLE_RELIABILITY_QOS;
	qos.history().kind = KEEP_ALL_HISTORY_QOS;
	DataWriter *writer = p->create_publisher(PUBLISHER_QOS_DEFAULT)
		->create_datawriter(topic, qos);
	CHECK(writer);
	do {
		pause_or_end();
		writer->get_publication_matched_status(status);
	} while (!status.total_count);
	/* The reader leaves when it has seen enough. */
	while (status.current_count) {
		writer->write(&number);
		number++;
		pause_or_end();
		writer->get_publication_matched_status(status);
	}
}

static void read_numbers(DomainParticipant *p, Topic *topic, uint64_t rounds)
{
	DataReaderQos qos = DATAREADER_QOS_DEFAULT;
	uint64_t number, expected = 0;
	SampleInfo info;

	qos.reliability().kind = RELIABLE_RELIABILITY_QOS;
	qos.history().kind = KEEP_ALL_HISTORY_QOS;
	Subscriber *subscriber = p->create_subscriber(SUBSCRIBER_QOS_DEFAULT);
	DataReader *reader = subscriber->create_datareader(topic, qos);
	CHECK(reader);
	while (expected < rounds) {
		if (reader->take_next_sample(&number, &info) !=
		    ReturnCode_t::RETCODE_OK) {
			pause_or_end();
			continue;
		}
		if (!info.valid_data)
			continue;
		CHECK(number == expected);
		expected++;
	}
	std::cout << "read " << expected << std::endl;
}

int main(int argc, char **argv)
{
	CHECK(argc >= 4);
	deadline = std::chrono::steady_clock::now() +
		std::chrono::seconds(atol(argv[3]));
	Log::SetVerbosity(Log::Kind::Warning);
	DomainParticipant *p = participant(atoi(argv[2]));
	TypeSupport type(new NumberType());

	type.register_type(p);
	Topic *topic = p->create_topic("numbers", "Number", TOPIC_QOS_DEFAULT);
	CHECK(topic);
	if (!strcmp(argv[1], "write"))
		write_numbers(p, topic);
	else
		read_numbers(p, topic, argc > 4 ? atol(argv[4]) : 1);
	p->delete_contained_entities();
	DomainParticipantFactory::get_instance()->delete_participant(p);
	return 0;
}
