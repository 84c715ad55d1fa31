package spot

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// watchAWS asks the instance metadata service (AWS_EC2_METADATA_SERVICE_ENDPOINT says
// where, if elsewhere) for a spot interruption and for a recommendation to rebalance.
// (AWS, EC2 User Guide: "Spot Instance interruption notices", "EC2 instance rebalance
// recommendations".)
func watchAWS(ctx context.Context, told func(Notice)) {
	client := imds.New(imds.Options{})
	every(ctx, askPause, func() {
		var action struct {
			Action string    `json:"action"` // terminate, stop or hibernate
			Time   time.Time `json:"time"`
		}
		if awsSays(ctx, client, "spot/instance-action", &action) {
			told(Notice{Cloud: AWS, Event: "spot interruption (" + action.Action + ")", At: action.Time, Leave: true})
		}
		var rebalance struct {
			NoticeTime time.Time `json:"noticeTime"`
		}
		if awsSays(ctx, client, "events/recommendations/rebalance", &rebalance) {
			told(Notice{Cloud: AWS, Event: "rebalance recommendation: an interruption is likely"})
		}
	})
}

// awsSays reads what is at a path of the metadata; usually there is nothing.
func awsSays(ctx context.Context, client *imds.Client, path string, into any) bool {
	out, err := client.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		return false // 404: nothing; otherwise asked again
	}
	defer out.Content.Close()
	return json.NewDecoder(out.Content).Decode(into) == nil
}
